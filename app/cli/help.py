"""The help of a command as plain text, its options under the headings that they name."""

from typing import Any

from typer.core import TyperCommand

from app.cli import flags

OPTIONS = "Options"


class SectionedCommand(TyperCommand):
    """Writes each option under its ``rich_help_panel``; boxes would leave half of a terminal for the words."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options by heading in the order of the command."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], OPTIONS: []}
        for parameter in self.get_params(ctx):
            line = parameter.get_help_record(ctx)
            if line is None:
                continue
            is_argument = parameter.param_type_name == "argument"
            heading = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None) or OPTIONS
            sections.setdefault(heading, []).append(line)
        for heading, lines in sections.items():
            if lines:
                with formatter.section(heading):
                    formatter.write_dl(lines)


class TrainCommand(SectionedCommand):
    """Understands the flags of other training scripts too, or says what they are called here."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Rewrite the arguments, then parse them."""
        known = {name for parameter in self.get_params(ctx) for name in (*parameter.opts, *parameter.secondary_opts)}
        return super().parse_args(ctx, flags.rewritten(args, known))

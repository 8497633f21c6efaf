"""``tunesmith completion``: a script for the shell that completes commands, options and their values."""

from typing import Annotated

import typer

from app.cli.main import COMMANDS, command_of
from app.cli.run import parser_of

PROGRAM = "tunesmith"
# Twice: the first "--" is for the program, the second for the command.
ASK = "--complete -- --"
PLACE = ("--url", "--api-key")
"""Options before the command, each with a value."""
# "$COMP_CWORD" with its sign: zsh, which reads this too, takes :COMP_CWORD for a modifier.
_BASH = f"""\
_{PROGRAM}() {{
    local IFS=$'\\n'
    COMPREPLY=( $({PROGRAM} completion {ASK} "${{COMP_WORDS[@]:1:$COMP_CWORD}}") )
}}
complete -o default -F _{PROGRAM} {PROGRAM}
"""
# Files only where nothing else is known, as bash and zsh do it by themselves.
_FISH = f"""\
function __{PROGRAM}
    set -l found ({PROGRAM} completion {ASK} (commandline -opc)[2..] "$(commandline -ct)")
    if set -q found[1]
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c {PROGRAM} -f -a '(__{PROGRAM})'
"""
SCRIPTS: dict[str, str] = {
    "bash": _BASH,
    "zsh": f"autoload -U +X bashcompinit && bashcompinit\n{_BASH}",
    "fish": _FISH,
}


def completion(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="bash|zsh|fish", help="Your shell.", show_default=False)
    ] = None,
    ask: Annotated[bool, typer.Option(ASK.split()[0], hidden=True)] = False,
) -> None:
    """Print a script for your shell that completes tunesmith, this program under a name of its own, on Tab.

    In bash or zsh: source <(tunesmith completion bash). In fish: tunesmith completion fish | source.
    """
    given = words or []
    if ask:
        typer.echo("".join(f"{word}\n" for word in candidates(given)), nl=False)
        return
    shell = given[0] if given else ""
    if shell not in SCRIPTS:
        raise typer.BadParameter(f"name your shell: {', '.join(SCRIPTS)}")
    typer.echo(SCRIPTS[shell], nl=False)


def candidates(words: list[str]) -> list[str]:
    """Say what the last of the words may become; those before it are complete."""
    *before, last = words or [""]
    before = _without_place(before)
    if not before:
        found = [name for name in COMMANDS if " " not in name] + [*PLACE, "--help"]
    elif before[0] in COMMANDS:
        found = _of_command(before)
    else:
        found = []
    return [word for word in found if word.startswith(last)]


def _without_place(words: list[str]) -> list[str]:
    """Leave out the options that stand before the command, with their values."""
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in PLACE else words[1:]
    return words


def _of_command(before: list[str]) -> list[str]:
    name, _ = command_of(before)
    seconds = [known.split()[1] for known in COMMANDS if known.startswith(f"{name} ")] if len(before) == 1 else []
    command = typer.main.get_command(parser_of(COMMANDS[name].module, COMMANDS[name].function))
    named = {opt: one for one in command.params for opt in (*one.opts, *one.secondary_opts) if opt.startswith("--")}
    previous = named.get(before[-1].replace("_", "-"))
    choices = [] if previous is None else _choices(previous.get_help_record(typer.Context(command)))
    return choices or [*seconds, *(opt for opt, one in named.items() if not getattr(one, "hidden", False)), "--help"]


def _choices(record: tuple[str, str] | None) -> list[str]:
    """Give the values of an option that takes one of a few, as its help writes them: ``--queue [default|gpu|cpu]``."""
    written = "" if record is None else record[0].rpartition(" ")[2].strip("[]<>")
    return [word for word in written.split("|") if "|" in written and word == word.lower()]

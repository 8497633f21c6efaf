"""``python -m app traffic``: which version answers which part of the calls of an alias."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.connection import connect
from app.cli.console import JsonFlag, ago, output, print_json, table_of
from app.client import ApiError, Tunesmith
from app.schemas.traffic import AliasTraffic, Canary, Prefer, ShadowReport, Traffic, TrafficWish

Name = Annotated[str, typer.Argument(help="The model.")]
Alias = Annotated[str, typer.Argument(help="The alias, champion for one.")]


def traffic(
    context: typer.Context,
    name: Name,
    alias: Alias,
    canary: Annotated[
        str | None,
        typer.Option(metavar="VERSION:PERCENT", help="Let a version answer so much of the calls.", show_default=False),
    ] = None,
    shadow: Annotated[
        str | None,
        typer.Option(metavar="VERSION:PERCENT", help="Ask a version so much of them again.", show_default=False),
    ] = None,
    log: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="Keep so much of the answers for feedback.", show_default=False),
    ] = None,
    keep_text: Annotated[bool, typer.Option("--keep-text", help="Keep their texts too, redacted.")] = False,
    days: Annotated[int, typer.Option(min=1, help="How long they are kept.")] = 30,
    drift: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="Count so much of the answers for drift.", show_default=False),
    ] = None,
    prefer: Annotated[
        Prefer | None,
        typer.Option(help="Which format answers calls that do not say what they prefer.", show_default=False),
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="Let the version that the alias names answer all calls.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Split although its policy says no; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the history.", show_default=False)] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what becomes of an alias's calls; --end ends all of it, each other option changes its own part.

    See also traffic report, and live.
    """
    parts: dict[str, Any] = {
        word: part_of(text) for word, text in (("canary", canary), ("shadow", shadow)) if text is not None
    }
    if log is not None:
        parts["log"] = {"percent": log, "keep_text": keep_text, "retention_days": days}
    if drift is not None:
        parts["drift"] = {"percent": drift}
    if prefer is not None:
        parts["prefer"] = prefer
    if end and parts:
        raise typer.BadParameter("--end excludes --canary, --shadow, --log, --drift and --prefer")
    with connect(context) as service:
        if end:
            service.clear_traffic(name, alias, reason=reason)
        elif parts:
            now = _found(service, name, alias)
            kept = {} if now is None else now.traffic.model_dump(exclude_none=True)
            service.set_traffic(name, alias, TrafficWish.model_validate(kept | parts | _why(force, reason)))
        found = _found(service, name, alias)
    if as_json:
        print_json(Traffic() if found is None else found)
    else:
        _show(name, alias, found)


def part_of(text: str) -> dict[str, Any]:
    """Read VERSION:PERCENT; raises BadParameter."""
    version, _, percent = text.partition(":")
    try:
        part = Canary(version=int(version), percent=float(percent))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not VERSION:PERCENT, such as 4:10; a percentage is more than 0 and at most 100"
        ) from None
    return part.model_dump()


def _why(force: bool, reason: str | None) -> dict[str, Any]:
    return ({"force": True} if force else {}) | ({} if reason is None else {"reason": reason})


def report(context: typer.Context, name: Name, alias: Alias, as_json: JsonFlag = False) -> None:
    """Show what the shadows of an alias would have said."""
    with connect(context) as service:
        found = service.traffic_report(name, alias)
    if as_json:
        print_json(found)
        return
    if not found.pairs:
        output.print(f"Nothing of {escape(name)}@{escape(alias)} was compared.")
    for pair in found.pairs:
        output.print(_pair(pair))


def _pair(pair: ShadowReport) -> Table:
    table = table_of(f"version {pair.answered_version} said", f"version {pair.shadow_version} would say", "texts")
    agreement = "-" if pair.agreement is None else f"{pair.agreement:.2%}"
    difference = "-" if pair.mean_difference is None else f"{pair.mean_difference:.4f}"
    dropped = ", ".join(f"{reason} {texts}" for reason, texts in sorted(pair.dropped.items())) or "none"
    table.title = f"{pair.compared} texts compared since {ago(pair.since)}: {agreement} agree"
    table.caption = f"mean difference of probability {difference}; dropped: {dropped}"
    for item in pair.differing[:20]:
        table.add_row(escape(item.answered or "-"), escape(item.shadow or "-"), str(item.texts))
    return table


def _found(service: Tunesmith, name: str, alias: str) -> AliasTraffic | None:
    try:
        return service.traffic(name, alias)
    except ApiError as error:
        if error.code != "traffic-not-found":
            raise
        return None


def _show(name: str, alias: str, found: AliasTraffic | None) -> None:
    called = f"{escape(name)}@{escape(alias)}"
    if found is None:
        output.print(f"All calls of {called} are answered by the version that it names.")
        return
    output.print(f"{called} is version {found.version}, changed {ago(found.updated_at)} by {escape(found.updated_by)}.")
    canary = found.traffic.canary
    if canary is not None:
        output.print(f"Version {canary.version} answers {canary.percent:g} % of its calls as a canary.")
    shadow = found.traffic.shadow
    if shadow is not None:
        output.print(f"Version {shadow.version} is asked {shadow.percent:g} % of them again as a shadow.")
    log = found.traffic.log
    if log is not None:
        text = "with" if log.keep_text else "without"
        output.print(f"{log.percent:g} % of its answers are kept for {log.retention_days} days, {text} their texts.")
    if found.traffic.prefer is not None:
        output.print(f"Calls that do not say so prefer {found.traffic.prefer}.")
    if found.traffic.drift is not None:
        output.print(f"{found.traffic.drift.percent:g} % of its answers are counted for drift.")

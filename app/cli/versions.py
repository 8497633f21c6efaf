"""``python -m app models diff``, ``delete`` and ``prune``: versions side by side, and out of the way."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.connection import connect
from app.cli.console import JsonFlag, output, print_json, size, table_of
from app.schemas.diffs import VersionDiff

Name = Annotated[str, typer.Argument(help="The model.")]


def diff(
    context: typer.Context,
    name: Name,
    one: Annotated[int, typer.Argument(min=1, help="The one version.", metavar="FROM")],
    other: Annotated[int, typer.Argument(min=1, help="The other version.", metavar="TO")],
    examples: Annotated[int, typer.Option(min=0, max=200, help="Changed answers that are shown.")] = 10,
    as_json: JsonFlag = False,
) -> None:
    """Put two versions of a model side by side: settings, data, scores, labels, and the answers that changed."""
    with connect(context) as service:
        found = service.diff(name, one, other, examples=examples)
    if as_json:
        print_json(found)
        return
    for table in (_settings(found), _scores(found), _labels(found), _slices(found), _answers(found)):
        if table.row_count:
            output.print(table)
    for line in _sentences(found):
        output.print(line)


def _settings(found: VersionDiff) -> Table:
    table = table_of("setting", f"{found.from_version}", f"{found.to_version}")
    if found.base_model_before != found.base_model_after:
        table.add_row("base model", *(escape(_base(ref)) for ref in (found.base_model_before, found.base_model_after)))
    for item in found.hyperparameters:
        table.add_row(item.name, escape(str(item.before)), escape(str(item.after)))
    return table


def _base(ref: object) -> str:
    return f"{getattr(ref, 'id', '')} {getattr(ref, 'revision', None) or ''}".strip()


def _scores(found: VersionDiff) -> Table:
    table = table_of("score", f"{found.from_version}", f"{found.to_version}", "difference")
    for item in found.metrics:
        table.add_row(item.name, *(_number(value) for value in (item.before, item.after)), _signed(item.difference))
    return table


def _labels(found: VersionDiff) -> Table:
    table = table_of("F1 of label", f"{found.from_version}", f"{found.to_version}", "difference")
    for item in found.per_class:
        numbers = (_number(value) for value in (item.f1_before, item.f1_after))
        table.add_row(escape(item.label), *numbers, _signed(item.difference))
    return table


def _slices(found: VersionDiff) -> Table:
    table = table_of("F1 of slice", "rows", f"{found.from_version}", f"{found.to_version}", "difference")
    for item in found.slices:
        rows = item.rows_before if item.rows_after is None else item.rows_after
        numbers = (_number(value) for value in (item.f1_before, item.f1_after))
        table.add_row(escape(item.slice), str(rows), *numbers, _signed(item.difference))
    return table


def _answers(found: VersionDiff) -> Table:
    table = table_of("row", "", "label", f"{found.from_version}", f"{found.to_version}", "text")
    for item in found.predictions.examples if found.predictions else []:
        words = (item.label, item.before, item.after, item.text or "-")
        table.add_row(str(item.row), item.kind, *(escape(word) for word in words))
    return table


def _sentences(found: VersionDiff) -> list[str]:
    data = "the same data" if found.data.same else "other data"
    lines = [f"Trained on {data}."]
    if found.comparison is None or found.predictions is None:
        return [*lines, f"Not compared row by row: {escape(found.not_compared or 'unknown')}."]
    tested, changed = found.comparison, found.predictions
    verdict = tested.f1_macro_verdict.replace("-", " ")
    interval = tested.f1_macro_interval
    return [
        *lines,
        f"On {changed.rows} rows that both were judged on: {changed.fixed} fixed, {changed.broken} broken, "
        f"{changed.other} wrong in another way.",
        f"Macro F1 {tested.f1_macro_difference:+.4f}, {verdict} (95 % interval {interval.low:+.4f} to "
        f"{interval.high:+.4f}); McNemar p = {tested.p_value:.2g}.",
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def delete(
    context: typer.Context,
    name: Name,
    version: Annotated[int, typer.Argument(min=1, help="The version that is to go.")],
    as_json: JsonFlag = False,
) -> None:
    """Delete a version that no alias names and no unfinished job starts from; its number never comes back."""
    with connect(context) as service:
        service.delete_version(name, version)
    if as_json:
        output.print_json(data={"model": name, "version": version, "deleted": True})
    else:
        output.print(f"Version {version} of {escape(name)} is deleted.")


def prune(
    context: typer.Context,
    name: Name,
    keep_last: Annotated[int, typer.Option(min=1, help="How many of the newest versions stay.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete all but the newest versions; those that are needed stay, with the reason."""
    with connect(context) as service:
        found = service.prune(name, keep_last, dry_run=dry_run)
    if as_json:
        print_json(found)
        return
    table = table_of("version", "", "")
    for gone in found.deleted:
        table.add_row(str(gone.version), "would go" if dry_run else "deleted", size(gone.bytes))
    for kept in found.kept:
        table.add_row(str(kept.version), "kept", escape(kept.reason))
    if table.row_count:
        output.print(table)
    freed = f"{len(found.deleted)} versions, {size(found.bytes)}"
    output.print(f"{'Would delete' if dry_run else 'Deleted'} {freed}; their files go an hour later.")

"""Makes the report on the shadows of an alias out of what was counted."""

from collections.abc import Sequence
from itertools import groupby

from app.schemas.traffic import LabelPair, ShadowReport, TrafficReport
from app.store.tables import ShadowCount

MOST_PAIRS = 100


def traffic_report(alias: str, rows: Sequence[ShadowCount]) -> TrafficReport:
    """Put together what was counted; the rows of two versions follow each other."""
    grouped = groupby(rows, key=lambda row: (row.answered_version, row.shadow_version))
    return TrafficReport(alias=alias, pairs=[_report(*pair, list(counted)) for pair, counted in grouped])


def _report(answered: int, shadow: int, rows: Sequence[ShadowCount]) -> ShadowReport:
    compared = next((row for row in rows if row.kind == "compared"), None)
    agreed = sum(row.texts for row in rows if row.kind == "agreed")
    labels = [row for row in rows if row.kind == "labels"]
    differing = [
        LabelPair(answered=row.one or None, shadow=row.other or None, texts=row.texts)
        for row in labels
        if row.one != row.other
    ]
    return ShadowReport(
        answered_version=answered,
        shadow_version=shadow,
        since=min(row.first_at for row in rows),
        until=max(row.last_at for row in rows),
        compared=0 if compared is None else compared.texts,
        agreed=agreed,
        agreement=None if compared is None else agreed / compared.texts,
        mean_difference=None if compared is None else compared.total / compared.texts,
        dropped={row.one: row.texts for row in rows if row.kind == "dropped"},
        differing=differing[:MOST_PAIRS],
        same={row.one: row.texts for row in labels if row.one == row.other},
    )

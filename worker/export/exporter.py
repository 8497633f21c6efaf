"""Make every wanted format, load it again, compare it with the trained model, measure it, and keep what passed."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from app.errors import JobFailure
from app.logging import get_logger
from app.schemas.base import Auto
from app.schemas.jobs import ExportFormat, JobWarning, ServedFormat
from app.schemas.models import ExportVerdict
from app.serving.variants import fastest
from worker.events import Interrupted
from worker.export.compare import Comparison, compare, reference
from worker.export.format import Format
from worker.export.gate import Gate
from worker.export.latency import measure
from worker.export.registry import FORMATS
from worker.export.source import Answer, Decide, Rows, Source, most_probable

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Exporter:
    """Exports one trained model."""

    source: Source
    rows: Rows
    """What formats are compared and measured on."""
    gate: Gate | None
    """Judges reduced precision; None: there is nothing to judge by."""
    check: Callable[[], None]
    """Called now and then; may raise to stop."""
    warn: Callable[[JobWarning], None]
    decide: Decide = most_probable
    verifying: Callable[[], AbstractContextManager[None]] = nullcontext
    """Open while what was written is tried."""

    def export(self, wanted: Sequence[ExportFormat]) -> list[ExportVerdict]:
        """Write the wanted formats into the bundle, onnx first, and say what became of each.

        Raises JobFailure ``export-failed`` or ``export-verification-failed`` when onnx, which every bundle has, cannot
        be made or answers differently. Any other format that fails is left out with a warning.
        """
        with self.verifying():
            known = reference(self.source.model, self.rows)
        verdicts = []
        for name in wanted:
            self.check()
            chosen = FORMATS[name]
            present = {file for file in chosen.files if (self.source.folder / file).exists()}
            verdict = self._make(chosen, lambda answer: compare(known, answer, self.decide))
            if not verdict.passed:
                self._leave_out(chosen, present, verdict)
            verdicts.append(verdict)
        return verdicts

    def _make(self, chosen: Format, compared: Callable[[Answer], Comparison]) -> ExportVerdict:
        try:
            chosen.write(self.source)
            with self.verifying():
                return self._tried(chosen, compared)
        except (Interrupted, OSError, MemoryError):
            raise
        except Exception as error:  # an exporter may raise anything about a model it cannot take
            if chosen.name == "onnx":
                raise
            log.warning("export_failed", format=chosen.name, error=type(error).__name__, exc_info=True)
            return self._verdict(chosen, reason=f"it could not be made: {type(error).__name__}")

    def _tried(self, chosen: Format, compared: Callable[[Answer], Comparison]) -> ExportVerdict:
        """Load, judge and measure a format that is written."""
        answer = chosen.load(self.source)
        self.check()
        verdict = self._judged(chosen, answer) if chosen.reduced else self._compared(chosen, compared(answer))
        if not verdict.passed:
            return verdict
        return verdict.model_copy(update={"latency": measure(answer, self.rows, self.check)})

    def _compared(self, chosen: Format, found: Comparison) -> ExportVerdict:
        """Judge a format that computes in fp32: it must answer as the model does."""
        if not found.equal and chosen.name == "onnx":
            raise _differs(found)
        return self._verdict(
            chosen,
            rows=found.rows,
            max_abs_difference=found.max_abs_difference,
            label_agreement=found.label_agreement,
            reason=None if found.equal else f"its logits differ by up to {found.max_abs_difference:.2g}",
        )

    def _judged(self, chosen: Format, answer: Answer) -> ExportVerdict:
        """Judge a format of reduced precision by its answers."""
        if self.gate is None:
            return self._verdict(chosen, reason="there are no validation rows to judge it by")
        found = self.gate.judge(lambda: FORMATS["onnx"].load(self.source), answer)
        return self._verdict(
            chosen,
            rows=found.rows,
            max_abs_difference=found.max_abs_difference,
            label_agreement=found.label_agreement,
            metric=self.gate.bounds.metric,
            metric_value=found.metric_value,
            metric_drop=found.metric_drop,
            reason=found.reason,
        )

    def _verdict(self, chosen: Format, *, reason: str | None, rows: int = 0, **found: object) -> ExportVerdict:
        return ExportVerdict.model_validate(
            {
                "format": chosen.name,
                "file": chosen.files[0],
                "bytes": sum(self._size(file) for file in chosen.files),
                "rows": rows,
                "max_abs_difference": None,
                "label_agreement": None,
                "passed": reason is None,
                "reason": reason,
            }
            | found
        )

    def _size(self, file: str) -> int:
        path = self.source.folder / file
        return path.stat().st_size if path.is_file() else 0

    def _leave_out(self, chosen: Format, present: set[str], verdict: ExportVerdict) -> None:
        for file in chosen.files:
            if file not in present:
                (self.source.folder / file).unlink(missing_ok=True)
        self.warn(
            JobWarning(
                code="export-refused",
                detail=f"{chosen.name} is not in the bundle: {verdict.reason}.",
                remedy="Use onnx, which answers as the trained model does"
                + (", or loosen max_metric_drop or min_label_agreement in export." if chosen.reduced else "."),
            )
        )


def choose_served(wish: ServedFormat | Auto, verdicts: Sequence[ExportVerdict]) -> ServedFormat:
    """Give the format that is to answer predictions: the wanted one if it passed, else onnx; auto: the fastest."""
    if wish == "auto":
        return fastest(verdicts) or "onnx"
    return wish if any(verdict.format == wish and verdict.passed for verdict in verdicts) else "onnx"


def _differs(found: Comparison) -> JobFailure:
    return JobFailure(
        detail=f"The exported ONNX model answers differently from the trained one: logits differ by up to "
        f"{found.max_abs_difference:.2g} and {found.label_agreement:.1%} of {found.rows} labels agree.",
        code="export-verification-failed",
        remedy="Try another base model family, and report this with the model's config.json.",
        kind="internal",
    )

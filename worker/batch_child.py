"""The process that classifies the texts of a batch: it may be killed at any moment, and what is stored stays.

``python -m worker.batch_child --events-fd 5 --parent 4242`` reads one ``BatchOrder`` and tells of each chunk.
"""

import argparse
import itertools
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.artifacts.bundle import TOKENIZER, Bundle
from app.errors import AppError, Unprocessable
from app.schemas.evaluations import Judgement
from app.serving.predictor import Predictor
from worker.batch_messages import BatchOrder, BatchSays
from worker.batch_scores import Answer, Row, Tally
from worker.child import die_with_parent, leave, volunteer_for_oom_killer
from worker.failures import batch_crashed, from_app_error, is_disk_full, storage_full

GROUP = 256
"""Rows that are sorted by length together."""
BATCH = 8
"""Texts a call of the model: on a processor larger batches, padded to their longest text, are slower."""
MOST_AHEAD = 4
"""Chunks that may wait on the disk for a store that is slower than the model."""

Tell = Callable[[BatchSays], None]


def classify(order: BatchOrder, tell: Tell) -> Judgement | None:
    """Answer every row behind the start, in order, chunk by chunk; give what an evaluation comes to."""
    bundle = Bundle.open(order.bundle, only=())
    Bundle.open(order.bundle, only=(bundle.manifest.served_file, TOKENIZER))
    predictor = Predictor.load(bundle)
    tally = None if order.judging is None else Tally.going_on(bundle.manifest, order.judging, order.before)
    ask = Asker(predictor, order, tally)
    with ThreadPoolExecutor(order.threads) as pool:
        numbered = itertools.islice(enumerate(_rows(order)), order.start, None)
        for number in itertools.count():
            _wait_for_room(order.folder)
            began = time.monotonic()
            place = order.folder / f"chunk-{number:06d}.jsonl"
            rows = _write_chunk(place, numbered, ask, pool, order, began)
            if rows == 0:
                place.unlink()
                break
            tell(BatchSays(chunk=place, rows=rows, seconds=time.monotonic() - began))
    return None if tally is None else tally.judgement()


def _write_chunk(
    place: Path,
    numbered: Iterator[tuple[int, Row]],
    ask: "Asker",
    pool: ThreadPoolExecutor,
    order: BatchOrder,
    began: float,
) -> int:
    """Write answers until the chunk is full, or its time is over; gives how many."""
    rows = 0
    with place.open("wb") as file:
        while rows < order.chunk_rows and (rows == 0 or time.monotonic() - began < order.chunk_seconds):
            group = list(itertools.islice(numbered, min(GROUP, order.chunk_rows - rows)))
            if not group:
                break
            for (number, row), answer in zip(group, ask.all([row for _, row in group], pool), strict=True):
                told = {"row": number, "text": row["text"]} | answer
                line = json.dumps(told, ensure_ascii=False, allow_nan=False)
                file.write(line.encode() + b"\n")
            rows += len(group)
    return rows


class Asker:
    """Asks one version as the order wishes."""

    def __init__(self, predictor: Predictor, order: BatchOrder, tally: Tally | None) -> None:
        self._predictor = predictor
        self._top_k = order.top_k
        self._all = order.return_all_scores or tally is not None
        self._tally = tally

    def all(self, rows: Sequence[Row], pool: ThreadPoolExecutor) -> list[Answer]:
        """Answer rows in their order, and where that is wanted judge the answers."""
        answers = self._in_order([row["text"] for row in rows], pool)
        if self._tally is None:
            return answers
        return [self._tally.judged(row, answer) for row, answer in zip(rows, answers, strict=True)]

    def _in_order(self, texts: Sequence[str], pool: ThreadPoolExecutor) -> list[Answer]:
        """Ask about texts; those of like length share a call of the model."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        answers: list[Answer] = [{}] * len(texts)
        asked = pool.map(lambda batch: self._some([texts[index] for index in batch]), batches)
        for batch, found in zip(batches, asked, strict=True):
            for index, answer in zip(batch, found, strict=True):
                answers[index] = answer
        return answers

    def _some(self, texts: Sequence[str]) -> list[Answer]:
        try:
            found = self._predictor.predict(texts, top_k=self._top_k, return_all_scores=self._all)
        except Unprocessable as error:
            if len(texts) > 1:
                return [answer for text in texts for answer in self._some([text])]
            return [{"error": {"code": error.code, "detail": error.detail}}]
        return [prediction.model_dump(mode="json", exclude_none=True) for prediction in found]


def _rows(order: BatchOrder) -> Iterator[Row]:
    """Go through the rows that are to be answered; ``split`` of an evaluation says which."""
    wanted = None if order.judging is None or order.judging.split == "all" else order.judging.split
    with order.rows.open("rb") as file:
        for line in file:
            row: Row = json.loads(line)
            if wanted in (None, row.get("split")):
                yield row


def _wait_for_room(folder: Path) -> None:
    while len(list(folder.glob("chunk-*"))) >= MOST_AHEAD:
        time.sleep(0.05)


def answer(order: BatchOrder, tell: Tell) -> None:
    """Classify, and say how it ended."""
    try:
        judgement = classify(order, tell)
    except AppError as error:
        tell(BatchSays(error=from_app_error(error).as_dict(None)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent turns it into words
        traceback.print_exc()
        failure = storage_full("the batch") if is_disk_full(error) else batch_crashed(type(error).__name__)
        tell(BatchSays(error=failure.as_dict(None)))
    else:
        tell(BatchSays(done=True, judgement=judgement))


def main() -> None:
    """Carry out one order."""
    parser = argparse.ArgumentParser(prog="python -m worker.batch_child", description=__doc__)
    parser.add_argument("--events-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args()
    die_with_parent(options.parent)
    volunteer_for_oom_killer()

    def tell(said: BatchSays) -> None:
        os.write(options.events_fd, said.model_dump_json().encode() + b"\n")

    answer(BatchOrder.model_validate_json(sys.stdin.buffer.readline()), tell)
    leave(0)


if __name__ == "__main__":
    main()

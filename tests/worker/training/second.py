"""The second process of a run on the small model: ``python -m tests.worker.training.second MEETING``.

Each line on stdin that names a case begins another run; the others are orders. After a run that ``shows`` it sends its
weights.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
import torch.distributed as dist

from tests.worker.training.small import Small, small_run, texts
from worker.orders import Order, parse_order
from worker.training.following import follow
from worker.training.loop import Evaluate, Training
from worker.training.team import Team, meet

DEPTHS = {"embedding.weight": 0, "norm.weight": 1, "norm.bias": 1}


def make(
    folder: Path,
    team: Team | None,
    case: dict[str, Any],
    flaws: dict[str, Any] | None = None,
    evaluate: Evaluate | None = None,
) -> Training:
    """Make a run of a case; ``flaws`` are those of this process's network alone."""
    wishes = {"logging_steps": 1, "early_stopping_patience": None} | case["wishes"]
    source = texts(case["rows"])
    source.taught = "distillation" in wishes
    model = Small(dropout=case.get("dropout", 0.0), **(flaws or {}))
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    steps = case.get("steps", 8)
    return small_run(
        folder, source, total_steps=steps, evaluate=evaluate, model=model, depths=DEPTHS, team=team, **wishes
    )


def _orders(lines: BinaryIO, cases: list[dict[str, Any]]) -> Iterator[Order]:
    while line := lines.readline():
        if line.startswith(b'{"rows": '):
            cases.append(json.loads(line))
            return
        yield parse_order(line)


def main(place: Path) -> None:
    """Take part in run after run."""
    torch.set_num_threads(1)
    team = Team(1, 2)
    meet(place, 1, 2, torch.device("cpu"))
    lines = sys.stdin.buffer
    cases = [json.loads(lines.readline())]
    while cases:
        case = cases.pop()
        training = make(place.with_name("second"), team, case, case.get("flaws"))
        follow(training, team, _orders(lines, cases), fingerprint="spec")
        if case.get("shows"):
            for tensor in training.model.state_dict().values():
                dist.send(tensor, dst=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

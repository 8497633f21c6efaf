"""Two processes that make every step together: the same run as one makes, saved and resumed as one is."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from app.errors import JobFailure
from tests.worker.training.second import make
from tests.worker.training.small import never, scripted
from worker.events import Interrupted, StopReason
from worker.training.events import LastStep, Split, Step, TrainingEvent
from worker.training.loop import Evaluate, Training
from worker.training.sharing import share
from worker.training.team import Team, meet, part

ROOT = Path(__file__).parents[3]
WEIGHTED = {"class_weights": {"no": 0.3, "yes": 2.0}, "max_grad_norm": 0.05}
TWO = {"gradient_accumulation_steps": 2} | WEIGHTED
CASES: dict[str, dict[str, Any]] = {
    "a batch each, the last window short": {"rows": 13, "wishes": TWO},
    "batches shared out": {"rows": 13, "wishes": {"batch_size": 5, **WEIGHTED}},
    "more batches than processes": {"rows": 31, "wishes": {"gradient_accumulation_steps": 3, **WEIGHTED}},
    "single texts, so that one has none": {"rows": 5, "wishes": {"batch_size": 1}},
    "thawing": {"rows": 12, "wishes": {"unfreeze_schedule": {"1": 1, "2": "all"}, **TWO}},
    "a teacher": {"rows": 13, "wishes": {"distillation": {"teacher": "model:large"}, "batch_size": 5}},
    "bf16": {"rows": 12, "wishes": {"precision": "bf16"}},
    "fp16 with overflows": {"rows": 12, "wishes": {"precision": "fp16", "batch_size": 1}},
}
ENDINGS: dict[str, dict[str, Any]] = {
    "patience": {"wishes": {"eval_steps": 2, "eval_strategy": "steps", "early_stopping_patience": 1}, "step": 4},
    "a client's stop, or a budget": {"finish": 5, "step": 5},
    "a cancel, or a drain": {"stop": 3, "step": 3},
    "no number in the second process": {"flaws": {"poisoned_from": 3}, "step": 3},
    "fp16 that always overflows there": {"flaws": {"overflows": True}, "wishes": {"precision": "fp16"}, "step": 30},
}
DICED = {"rows": 13, "dropout": 0.2, "wishes": TWO}


class Pair:
    """This process, which leads, and a second one."""

    def __init__(self, folder: Path) -> None:
        place = folder / "meeting"
        command = [sys.executable, "-m", "tests.worker.training.second", str(place)]
        self.second = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, text=True)
        self._folder = folder
        self._runs = 0
        meet(place, 0, 2, torch.device("cpu"))

    def tell(self, line: str) -> None:
        """Send a line to the second process."""
        assert self.second.stdin is not None
        print(line, file=self.second.stdin, flush=True)

    def run(self, case: dict[str, Any], evaluate: Evaluate | None = None) -> Training:
        """Begin a run of both."""
        self._runs += 1
        self.tell(json.dumps(case))
        team = Team(0, 2, lambda order: self.tell(order.model_dump_json()))
        return make(self._folder / str(self._runs), team, case, evaluate=evaluate)

    def weights_of_the_second(self, model: nn.Module) -> list[Tensor]:
        """End a run that shows its weights; they are of the shapes of ``model``."""
        self.tell(json.dumps({"rows": 1, "wishes": {}}))
        found = [torch.empty_like(tensor) for tensor in model.state_dict().values()]
        for tensor in found:
            dist.recv(tensor, src=1)
        return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pair = Pair(tmp_path_factory.mktemp("pair"))
    yield pair
    assert pair.second.stdin is not None
    pair.second.stdin.close()
    assert pair.second.wait(60) == 0
    part()
    torch.set_num_threads(threads)


def curve(events: list[TrainingEvent]) -> list[Step]:
    return [event for event in events if isinstance(event, Step)]


def after(steps: int) -> Callable[[], bool]:
    calls = iter(range(steps))
    return lambda: next(calls, None) is None


@pytest.mark.parametrize("size", [2, 3, 8])
def test_everybody_has_a_part_and_nobody_anothers(size: int) -> None:
    window = [np.arange(4), np.arange(4, 8), np.arange(8, 12), np.arange(12, 13)]
    shares = [share(window, rank, size) for rank in range(size)]
    assert sorted(int(row) for rows in shares for batch in rows for row in batch) == list(range(13))
    assert all(len(batch) for rows in shares for batch in rows)
    assert shares[0][0].tolist() == ([0, 1, 2, 3] if size < 8 else [0])


@pytest.mark.parametrize("name", CASES)
def test_two_processes_learn_what_one_does(pair: Pair, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    alone, both = make(tmp_path / "alone", None, case), pair.run(case)
    expected, found = curve(list(alone.run(never))), curve(list(both.run(never)))
    close = 2e-2 if case["wishes"].get("precision") == "bf16" else 1e-5
    for one, other in zip(expected, found, strict=True):
        assert (other.step, other.epoch, other.learning_rate) == (one.step, one.epoch, one.learning_rate)
        assert (other.values, other.loss_scale) == (one.values, one.loss_scale) or close > 1e-5
        assert other.loss == pytest.approx(one.loss, abs=close)
        overflowed = one.grad_norm is None
        assert other.grad_norm == (None if overflowed else pytest.approx(one.grad_norm, abs=close, rel=close))
    for tensor, same in zip(both.model.state_dict().values(), alone.model.state_dict().values(), strict=True):
        torch.testing.assert_close(tensor, same, atol=close, rtol=0)


@pytest.mark.parametrize("name", ENDINGS)
def test_both_end_at_the_step_at_which_the_leader_says_so(pair: Pair, name: str) -> None:
    ending = ENDINGS[name]
    case = {"rows": 16, "steps": 40, "shows": True, "wishes": ending.get("wishes", {}), "flaws": ending.get("flaws")}
    run = pair.run(case, scripted([0.5, 0.4, 0.3]) if name == "patience" else None)
    finish: list[StopReason | None] = [None] * (ending.get("finish", 99) - 1) + ["max_train_seconds"] * 2
    last: dict[str, Tensor] = {}
    ended: type[BaseException] | None = None
    try:
        for event in run.run(after(ending.get("stop", 99)), lambda: finish.pop(0)):
            if isinstance(event, LastStep):  # the best weights come back next, to the leader alone
                last = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    except (Interrupted, JobFailure) as error:
        ended = type(error)
    assert run.step == ending["step"]
    assert ended is (Interrupted if "stop" in ending else JobFailure if "flaws" in ending else None)
    theirs = pair.weights_of_the_second(run.model)
    for tensor, same in zip((last or run.model.state_dict()).values(), theirs, strict=True):
        torch.testing.assert_close(tensor, same, atol=0, rtol=0, equal_nan=True)


def test_memory_that_runs_out_anywhere_splits_batches_everywhere(pair: Pair, tmp_path: Path) -> None:
    case: dict[str, Any] = {"rows": 13, "wishes": {"batch_size": 8}}
    whole = make(tmp_path / "whole", None, case)
    list(whole.run(never))
    split = pair.run(case | {"flaws": {"limit": 2}})  # of the second process alone
    events = list(split.run(never))
    assert [event for event in events if isinstance(event, Split)] == [Split(2, 2)]  # the first batch is a short one
    for tensor, same in zip(split.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        torch.testing.assert_close(tensor, same, atol=1e-5, rtol=0)


def test_a_resumed_pair_goes_on_bit_by_bit_and_one_process_goes_on_too(pair: Pair, tmp_path: Path) -> None:
    whole = pair.run(DICED)
    expected = curve(list(whole.run(never)))

    first = pair.run(DICED)
    before: list[TrainingEvent] = []
    with pytest.raises(Interrupted):
        before.extend(first.run(after(3)))
    first.save(tmp_path / "checkpoint", fingerprint="spec")

    second = pair.run(DICED)
    torch.manual_seed(99)
    second.resume(tmp_path / "checkpoint", fingerprint="spec")
    rest = curve(list(second.run(never)))
    assert [event.loss for event in rest] == [event.loss for event in expected[3:]]
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], tensor), name

    alone = make(tmp_path / "alone", None, DICED)
    alone.resume(tmp_path / "checkpoint", fingerprint="spec")
    assert [event.step for event in curve(list(alone.run(never)))] == [event.step for event in rest]
    assert not torch.equal(alone.model.state_dict()["classifier.weight"], whole.model.state_dict()["classifier.weight"])

"""The comparison with Trainer: every variant trains the same number of texts, and the ratios are of medians."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.task import Task, Watch
from bench.train import VARIANTS, Run, summary, table, turns
from bench.trainers import figures_of
from tests.worker.toy_task import restored_torch, tiny_base, toy_rows  # noqa: F401 - fixtures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split, count in (("train", 24), ("validation", 9)):
        lines = (json.dumps({"text": row.text, "label": row.label}) for row in toy_rows(count, split=split))
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.usefixtures("restored_torch")
@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_trains_and_is_judged(variant: str, folder: Path, tiny_base: Path) -> None:  # noqa: F811
    task = Task(
        folder=folder,
        base=tiny_base,
        variant=variant,
        seed=1,
        rows=20,
        validation_rows=9,
        epochs=2,
        batch_size=8,
        learning_rate=1e-3,
        max_length=32,
        threads=torch.get_num_threads(),
        f1=0.0,
    )
    figures = figures_of(task)
    assert figures.seconds_to_f1 is not None
    assert 0 < figures.seconds_to_f1 < figures.seconds
    assert figures.texts == 40
    assert figures.seconds > 0
    assert figures.cpu_seconds > 0
    assert figures.f1_macro is not None
    assert 0 <= figures.f1_macro <= 1


def test_a_watch_does_not_count_the_time_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    now, scores = 100.0, iter([0.3, 0.5, 0.6])

    def judge() -> float:
        nonlocal now
        now += 7.0
        return next(scores)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    watch = Watch(wanted=0.5, every=2, judge=judge, ids=np.zeros(0, np.int32))
    watch.begin()
    for step in range(1, 9):
        now += 1.0
        watch.look(step)
    assert (watch.reached, watch.seconds) == (4.0, 14.0)


def test_ratios_are_those_of_the_medians() -> None:
    speeds = {
        "trainer-common": (10.0, 30.0, 20.0),
        "trainer-best": (50.0, 50.0, 40.0),
        "tunesmith": (90.0, 99.0, 100.0),
    }
    runs = [
        Run(variant, seed, speed, 1.0, 2.0, 0.5 + (variant == "tunesmith") * 0.01)
        for variant, each in speeds.items()
        for seed, speed in enumerate(each)
    ]
    found = summary(runs, argparse.Namespace(variants=list(speeds), rows=1, epochs=1), threads=2)
    assert found["ratio_to_trainer_common"] == pytest.approx(99 / 20)
    assert found["ratio_to_trainer_best"] == pytest.approx(99 / 50)
    assert found["ratio_to_trainer_padded_512"] is None
    assert found["by_cpu_seconds"] == pytest.approx({"trainer-common": 99 / 20, "trainer-best": 99 / 50})
    assert found["f1_difference"] == pytest.approx(0.01)
    assert "| Tunesmith | 99.0 | 1.0 | 2.0 | 0.5100 |" in table(runs, list(speeds))


def test_only_those_whose_scores_are_compared_run_with_every_seed() -> None:
    few = argparse.Namespace(seeds=5, speed_seeds=2)
    assert [turns(variant, few) for variant in VARIANTS][:5] == [1, 5, 2, 5, 2]
    assert turns("trainer-best", argparse.Namespace(seeds=5, speed_seeds=None)) == 5

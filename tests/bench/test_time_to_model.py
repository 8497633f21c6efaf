"""The comparison with a script: what a job adds to its training is everything else, from the request to the answer."""

import pytest

from bench.time_to_model import summary


def test_what_is_added_is_all_but_the_training() -> None:
    parts = {
        "cold": {"queue": 1.0, "start": 4.0, "train": 10.0, "load": 1.0},
        "warm": {"queue": 0.5, "train": 10.0, "load": 0.5},
        "script": {"start": 2.0, "imports": 4.0, "train": 16.0},
    }
    found = summary(parts)
    assert found["seconds"] == {"cold": 16.0, "warm": 11.0, "script": 22.0}
    assert found["added_to_training"] == pytest.approx({"cold": 0.6, "warm": 0.1, "script": 0.375})
    assert found["script_to_warm"] == 2.0
    assert summary({"warm": parts["warm"]})["script_to_warm"] is None

"""Long texts: what a job was trained on is what its version reads, and a hierarchical version can teach."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.artifacts.bundle import Bundle
from app.schemas.distillation import DistillationOptions
from app.schemas.text import TextOptions
from app.serving.predictor import Predictor
from tests.worker.toy_task import LABELS, MakeSpec, toy_rows
from worker.data.rows import read_rows
from worker.memory import Portion
from worker.models.registry import load_trained
from worker.narration import Narrator
from worker.pipeline import run
from worker.setup import set_up
from worker.teaching import Classroom, ask

pytestmark = pytest.mark.usefixtures("restored_torch")
CHUNKS = {"type": "hierarchical", "chunk_length": 9, "max_chunks": 3, "overlap": 2, "attention_size": 8}
ROWS = [*toy_rows(24), *toy_rows(12, split="validation")]


def never() -> bool:
    return False


def nothing(_: object = None) -> None:
    """Hear an event, or check whether to stop."""


@pytest.mark.parametrize(
    ("request_", "wishes"),
    [({}, {"long_text": "head_tail", "max_length": 12}), ({"family": CHUNKS}, {})],
    ids=["head_tail", "hierarchical"],
)
def test_a_version_reads_texts_as_its_job_did(
    request_: dict[str, Any], wishes: dict[str, Any], make_spec: MakeSpec
) -> None:
    spec = make_spec(ROWS, request=request_, max_steps=1, **wishes)
    run(spec, nothing, never)
    data = set_up(spec, Narrator(nothing), nothing).data
    predictor = Predictor.load(Bundle.open(spec.bundle_dir))
    encoded = predictor.encoder.encode([row.text for row in ROWS[:24]])
    assert any(encoded.truncated)
    assert not all(encoded.truncated)
    for row in range(24):
        assert np.array_equal(data.train.ids(np.array([row]))[0], encoded.ids[row])
    told = predictor.predict([row.text for row in ROWS[:24]])
    assert [answer.truncated for answer in told] == encoded.truncated


def test_a_hierarchical_version_teaches(make_spec: MakeSpec, tmp_path: Path) -> None:
    """It is asked about whole documents, in the chunks that its checkpoint names."""
    spec = make_spec(ROWS, request={"family": CHUNKS}, max_steps=2)
    run(spec, nothing, never)
    folder = spec.bundle_dir / "weights"
    (folder / "tokenizer.json").write_bytes((spec.bundle_dir / "tokenizer.json").read_bytes())
    rows = read_rows(spec.dataset_file, LABELS)["train"]
    room = Classroom(torch.device("cpu"), Portion(8, nothing), TextOptions(), tmp_path, nothing)
    answers = ask(folder, DistillationOptions(teacher="model:toy"), rows, LABELS, room)
    predictor = Predictor.load(Bundle.open(spec.bundle_dir))
    expected = predictor.logits(predictor.encoder.encode(rows.texts).ids)
    np.testing.assert_allclose(answers.numpy(), expected, atol=1e-4)
    assert load_trained(folder, LABELS).model.config.overlap == 2

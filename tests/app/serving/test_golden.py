"""Golden examples: whatever answers otherwise than where it was trained is found when it is loaded."""

from pathlib import Path

import pytest

from app.errors import JobFailure
from app.schemas.jobs import ServedFormat
from app.serving.golden import TOLERANCES, Golden, read, record, replay
from app.serving.predictor import Predictor
from tests.app.serving.tiny import graph, tokenizer, word_scores, write_bundle

TEXTS = ["good film", "", " \t", "the bad bad film", "good " * 40, "naïve 😀"]


def predictor(folder: Path, bias: float = 0.0, serve: ServedFormat = "onnx") -> Predictor:
    """Load a bag of words that is biased towards the second label, as if it were of some format."""
    bundle = write_bundle(folder, graph(word_scores(), (0.0, bias)))
    loaded = Predictor.load(bundle)
    loaded.manifest = bundle.manifest.model_copy(update={"serve": serve})
    return loaded


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    made = predictor(tmp_path_factory.mktemp("made"))
    return record(dict.fromkeys(TOLERANCES, made), TEXTS)


def test_what_was_recorded_is_what_the_server_answers(golden: Golden, tmp_path: Path) -> None:
    loaded = predictor(tmp_path)
    replay(golden, loaded)
    assert [example.text for example in golden.examples] == TEXTS
    answers = loaded.predict(TEXTS, return_all_scores=True)
    for example, answer in zip(golden.examples, answers, strict=True):
        assert answer.scores is not None
        assert dict(zip(loaded.labels, example.probabilities["onnx"], strict=True)) == pytest.approx(
            answer.scores, abs=1e-6
        )
        assert example.tokens == answer.tokens


def test_it_survives_the_file(golden: Golden, tmp_path: Path) -> None:
    file = tmp_path / "golden.json"
    file.write_text(golden.model_dump_json(), encoding="utf-8")
    assert read(file, "mood") == golden
    file.write_text("{}")
    with pytest.raises(JobFailure) as caught:
        read(file, "mood")
    assert caught.value.code == "damaged-bundle"


@pytest.mark.parametrize("serve", list(TOLERANCES))
@pytest.mark.parametrize(("share", "refused"), [(0.5, False), (1.5, True)])
def test_each_format_has_its_tolerance(
    golden: Golden, tmp_path: Path, serve: ServedFormat, share: float, refused: bool
) -> None:
    """Around one half, a logit of 4 d moves a probability by about d."""
    even = Golden(examples=[example for example in golden.examples if example.text == ""])
    changed = predictor(tmp_path, bias=4 * share * TOLERANCES[serve], serve=serve)
    if refused:
        with pytest.raises(JobFailure) as caught:
            replay(even, changed)
        assert caught.value.code == "golden-mismatch"
    else:
        replay(even, changed)


def test_a_refusal_names_the_example_and_never_its_text(golden: Golden, tmp_path: Path) -> None:
    with pytest.raises(JobFailure, match="golden example 1 differs by 0") as caught:
        replay(golden, predictor(tmp_path, bias=5.0))
    assert "good" not in caught.value.detail


def test_another_tokenizer_is_noticed_though_the_answer_is_the_same(golden: Golden, tmp_path: Path) -> None:
    loaded = predictor(tmp_path)
    changed = tokenizer()
    changed.post_processor = None  # type: ignore[assignment]
    loaded.encoder = type(loaded.encoder).from_files(
        changed.to_str().encode(), loaded.manifest.tokenizer, loaded.manifest.text
    )
    with pytest.raises(JobFailure, match="tokens"):
        replay(golden, loaded)


def test_an_answer_that_is_no_number_is_a_mismatch_and_is_never_recorded(golden: Golden, tmp_path: Path) -> None:
    broken = predictor(tmp_path, bias=float("nan"))
    with pytest.raises(JobFailure) as caught:
        replay(golden, broken)
    assert caught.value.code == "golden-mismatch"
    assert record({"onnx": broken}, TEXTS).examples == []


def test_a_format_that_was_not_recorded_has_nothing_to_compare(golden: Golden, tmp_path: Path) -> None:
    only = Golden(examples=[e.model_copy(update={"probabilities": {"onnx-int8": [0.0, 1.0]}}) for e in golden.examples])
    replay(only, predictor(tmp_path))

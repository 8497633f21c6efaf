"""The share of the rows by epoch, and the rows themselves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from app.schemas.curriculum import CurriculumOptions
from app.schemas.steps import Pace
from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from worker.data.batches import Batches
from worker.data.curriculum import Curriculum, CurriculumBatches
from worker.data.encode import encode
from worker.data.rows import Rows

calm = settings(deadline=None, max_examples=100)


@st.composite
def options(draw: st.DrawFn) -> CurriculumOptions:
    first, last = sorted([draw(st.floats(0.01, 1)), draw(st.floats(0.01, 1))])
    return CurriculumOptions(
        initial_difficulty=first,
        final_difficulty=last,
        num_epochs=draw(st.integers(1, 20)),
        by_label=draw(st.booleans()),
    )


def test_the_share_grows_evenly_from_the_first_epoch_to_the_last() -> None:
    shares = [CurriculumOptions().share(epoch, 12) for epoch in range(12)]
    assert shares == pytest.approx([0.3, *(0.3 + 0.7 * epoch / 9 for epoch in range(1, 9)), 1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("num_epochs", "epochs", "expected"), [(10, 3, [0.3, 0.65, 1.0]), (1, 2, [1, 1]), (10, 1, [1])]
)
def test_a_shorter_run_ends_with_all_rows_too(num_epochs: int, epochs: int, expected: list[float]) -> None:
    shares = [CurriculumOptions(num_epochs=num_epochs).share(epoch, epochs) for epoch in range(epochs)]
    assert shares == pytest.approx(expected)


@calm
@given(
    options(), st.integers(1, 30), st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3)), min_size=1, max_size=60)
)
def test_every_epoch_holds_the_one_before_and_the_easiest_rows_of_its_size(
    options: CurriculumOptions, epochs: int, data: list[tuple[float, int]]
) -> None:
    difficulty, labels = np.array([row[0] for row in data]), np.array([row[1] for row in data])
    curriculum = Curriculum(difficulty, labels, options, epochs=epochs)
    before: set[int] = set()
    for epoch in range(epochs):
        rows = curriculum.rows(epoch)
        assert sorted(set(rows.tolist())) == rows.tolist()
        assert before <= set(rows.tolist())
        before = set(rows.tolist())
        for label in set(labels.tolist()) if options.by_label else (None,):
            group = np.ones(len(data), dtype=bool) if label is None else labels == label
            used = np.isin(np.arange(len(data)), rows) & group
            assert used.sum() == pytest.approx(options.share(epoch, epochs) * group.sum(), abs=1)
            assert difficulty[used].max() <= difficulty[group & ~used].min(initial=math.inf)
    if options.final_difficulty == 1:
        assert len(before) == len(data)


def test_by_label_keeps_the_hard_label_in_the_first_epoch() -> None:
    difficulty, labels = np.arange(10.0), np.array([0] * 7 + [1] * 3)
    together = Curriculum(difficulty, labels, CurriculumOptions(by_label=False), epochs=10)
    assert together.rows(0).tolist() == [0, 1, 2]
    apart = Curriculum(difficulty, labels, CurriculumOptions(), epochs=10)
    assert apart.rows(0).tolist() == [0, 1, 2, 7]


def test_steps_are_counted_epoch_by_epoch() -> None:
    options = CurriculumOptions(num_epochs=3)
    curriculum = Curriculum(np.arange(10.0), np.zeros(10, dtype=np.int64), options, epochs=4)
    assert curriculum.sizes() == [3, 7, 10, 10]
    assert Pace([10], 2, 2, options).run(4) == 1 + 2 + 3 + 3


@calm
@given(
    options(),
    st.integers(1, 30),
    st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(any),
    st.integers(1, 9),
    st.integers(1, 4),
)
def test_steps_known_from_counts_are_those_of_the_batches(
    options: CurriculumOptions, epochs: int, groups: list[int], batch_size: int, accumulation: int
) -> None:
    labels = np.repeat(np.arange(len(groups)), groups)
    curriculum = Curriculum(np.random.default_rng(0).random(len(labels)), labels, options, epochs=epochs)
    windows = [len(range(0, len(range(0, size, batch_size)), accumulation)) for size in curriculum.sizes()]
    pace = Pace(groups, batch_size, accumulation, options)
    assert pace.run(epochs) == sum(windows)
    enough = pace.epochs_for(sum(windows))
    assert pace.run(enough) >= sum(windows)
    assert enough <= epochs


def test_batches_hold_just_the_rows_of_their_epoch() -> None:
    words = {"[PAD]": 0, **{f"w{number}": number + 1 for number in range(9)}}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = Whitespace()  # type: ignore[assignment]
    encoder = TextEncoder(tokenizer, TokenizerSettings(max_length=16, pad_token_id=0), TextOptions())
    texts = [" ".join(f"w{place}" for place in range(length)) for length in (9, 1, 5, 3, 7, 2, 8, 4, 6, 1)]
    split = encode(Rows(texts, [0] * 10), encoder, vocabulary=10, check=lambda: None)
    curriculum = Curriculum(split.lengths.astype(float), split.labels, CurriculumOptions(), epochs=2)
    batches = CurriculumBatches(Batches(split, encoder), split.lengths, curriculum)
    first, last = (batches.plan(2, seed=1, epoch=epoch) for epoch in (0, 1))
    assert sorted(np.concatenate(first)) == [1, 5, 9]
    assert sorted(np.concatenate(last)) == list(range(10))
    assert [row.tolist() for row in first] == [row.tolist() for row in batches.plan(2, seed=1, epoch=0)]
    assert batches.load(np.array([5])).input_ids.tolist() == [[1, 2]]
    assert len(batches) == sum(len(batch) for batch in batches.by_length(3)) == 10


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"initial_difficulty": 0.9, "final_difficulty": 0.5}, "above"),
        ({"initial_difficulty": 0.0}, "greater than 0"),
    ],
)
def test_contradictory_options_are_refused(fields: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        CurriculumOptions.model_validate(fields)

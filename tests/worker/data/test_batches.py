"""Batches: every row once, like lengths together, the same order for the same seed and epoch."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from tests.worker.toy_task import LABELS, Row, toy_rows, write_rows
from worker.data.batches import Batches, bucketed, packed
from worker.data.encode import encode
from worker.data.rows import read_rows


@given(count=st.integers(1, 400), size=st.integers(1, 40), seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_every_row_comes_once_in_batches_of_the_size(count: int, size: int, seed: int, epoch: int) -> None:
    lengths = np.random.default_rng(count).integers(3, 60, count)
    batches = bucketed(lengths, size, seed=seed, epoch=epoch)
    assert sorted(row for batch in batches for row in batch) == list(range(count))
    assert all(len(batch) <= size for batch in batches)
    assert len(batches) == -(-count // size)


def test_order_is_a_function_of_seed_and_epoch_alone() -> None:
    lengths = np.arange(100)

    def order(seed: int, epoch: int) -> list[int]:
        return [int(row) for batch in bucketed(lengths, 8, seed=seed, epoch=epoch) for row in batch]

    np.random.seed(1)
    first = order(1, 0)
    np.random.seed(2)
    assert order(1, 0) == first
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_like_lengths_lie_together() -> None:
    lengths = np.random.default_rng(0).integers(3, 100, 3200)
    batches = bucketed(lengths, 32, seed=1, epoch=0)
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded < 1.05 * lengths.sum()


def split_of(tmp_path, tiny_base, rows: list[Row]) -> Batches:
    encoder = TextEncoder.from_files(
        tiny_base / "tokenizer.json", TokenizerSettings(max_length=16, pad_token_id=0), TextOptions()
    )
    train = read_rows(write_rows(tmp_path / "rows.jsonl", rows), LABELS)["train"]
    return Batches(encode(train, encoder, vocabulary=400, check=lambda: None), encoder)


def test_loads_padded_texts_with_their_labels(tmp_path, tiny_base) -> None:
    rows = toy_rows(50)
    batches = split_of(tmp_path, tiny_base, rows)
    batch = batches.load(np.array([3, 10, 1]))
    assert [LABELS[index] for index in batch.labels] == [rows[index].label for index in (3, 10, 1)]
    assert batch.input_ids.shape == batch.attention_mask.shape
    assert batch.input_ids.dtype == torch.int64
    assert torch.equal(batch.attention_mask == 0, batch.input_ids == 0)
    assert int(batch.attention_mask.sum(1).max()) == batch.input_ids.shape[1] <= 16


def test_by_length_gives_every_row_longest_first(tmp_path, tiny_base) -> None:
    batches = list(split_of(tmp_path, tiny_base, toy_rows(50)).by_length(8))
    widths = [batch.input_ids.shape[1] for batch in batches]
    assert widths == sorted(widths, reverse=True)
    assert sum(len(batch) for batch in batches) == 50


def test_spread_goes_from_the_shortest_to_the_longest(tmp_path, tiny_base) -> None:
    split = split_of(tmp_path, tiny_base, toy_rows(50))
    lengths = [int(split.load(np.array([row])).attention_mask.sum()) for row in split.spread(12)]
    everything = [int(split.load(np.array([row])).attention_mask.sum()) for row in range(50)]
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[-1], len(lengths)) == (min(everything), max(everything), 12)
    assert sorted(split.spread(500)) == list(range(50))


@given(pieces=st.lists(st.integers(1, 12), max_size=60), most=st.integers(1, 20))
def test_packed_batches_have_every_row_once_and_no_more_pieces_than_allowed(pieces: list[int], most: int) -> None:
    counts = np.array(pieces, dtype=np.int64)
    rows = np.arange(100, 100 + len(counts))
    batches = list(packed(rows, counts, most))
    assert [row for batch in batches for row in batch] == rows.tolist()
    totals = [int(counts[batch - 100].sum()) for batch in batches]
    assert all(total <= most or len(batch) == 1 for total, batch in zip(totals, batches, strict=True))
    for first, second, total in zip(batches, batches[1:], totals, strict=False):
        assert total + counts[second[0] - 100] > most, (first, second)


def test_documents_in_chunks_are_loaded_with_their_chunks_and_evaluated_few_at_a_time(tmp_path, tiny_base) -> None:
    settings = TokenizerSettings(max_length=8, pad_token_id=0, long_text="hierarchical", max_chunks=3)
    encoder = TextEncoder.from_files(tiny_base / "tokenizer.json", settings, TextOptions())
    train = read_rows(write_rows(tmp_path / "rows.jsonl", toy_rows(50)), LABELS)["train"]
    batches = Batches(encode(train, encoder, vocabulary=400, check=lambda: None), encoder)
    for batch in batches.by_length(8):
        assert list(batch.inputs) == ["input_ids", "attention_mask", "chunk_index"]
        assert len(batch) == len(batch.inputs["chunk_index"])
        assert int(batch.inputs["chunk_index"].max()) + 1 == len(batch.input_ids) <= 8
    assert sum(len(batch) for batch in batches.by_length(8)) == 50
    assert 16 <= len(batches.spread(40)) < 40

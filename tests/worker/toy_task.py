"""A toy task, a tiny random BERT with a tokenizer trained on it, and specs of attempts on them."""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.artifacts.bundle import sha256_of
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.jobs import BaseModelRef, DatasetRef, ExportOptions, TrainJobRequest
from worker.events import AttemptSpec, Event, TaskSpec

LABELS = ["calm", "glad", "sad"]
WORDS = {"calm": ["quiet", "lake", "still"], "glad": ["happy", "great", "love"], "sad": ["awful", "cry", "grey"]}
FILLER = ["the", "day", "was", "and", "we", "saw", "a", "house", "on", "hill", "with", "my", "friend", "then", "home"]
VOCABULARY = 400


@dataclass
class Row:
    """One row of the toy task: a few words of its label among many of none."""

    text: str
    label: str
    split: str


def toy_rows(count: int, *, split: str = "train", seed: int = 0, labels: Sequence[str] = LABELS) -> list[Row]:
    """Draw rows of very different lengths, label by label in turn."""
    source = random.Random(f"{seed}-{split}")
    rows = []
    for index in range(count):
        label = labels[index % len(labels)]
        words = source.choices(FILLER, k=source.randint(1, 20)) + source.choices(WORDS[label], k=4)
        source.shuffle(words)
        rows.append(Row(" ".join(words), label, split))
    return rows


def toy_moods(count: int, *, split: str = "train") -> list[Row]:
    """Draw rows of another task, with a label of the first one: texts with words of sad are sad, others are fine."""
    rows = toy_rows(count, split=split, seed=100)
    return [Row(row.text, "sad" if row.label == "sad" else "fine", split) for row in rows]


@dataclass
class SetRow:
    """One row of the toy task with any number of labels."""

    text: str
    labels: list[str]
    split: str


def toy_sets(count: int, *, split: str = "train", seed: int = 0) -> list[SetRow]:
    """Draw rows with words of none, some or all of the labels."""
    source = random.Random(f"sets-{seed}-{split}")
    rows = []
    for index in range(count):
        labels = [label for place, label in enumerate(LABELS) if index >> place & 1]
        words = source.choices(FILLER, k=source.randint(1, 12))
        words += [word for label in labels for word in source.choices(WORDS[label], k=3)]
        source.shuffle(words)
        rows.append(SetRow(" ".join(words), labels, split))
    return rows


def write_rows(file: Path, rows: Sequence[Row | SetRow]) -> Path:
    """Write rows as the service stores them."""
    file.write_text("".join(json.dumps(vars(row)) + "\n" for row in rows), encoding="utf-8")
    return file


def train_tokenizer(file: Path) -> int:
    """Train a WordPiece tokenizer on the toy task; give the size of its vocabulary."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator((row.text for row in toy_rows(300)), trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[SEP]", "[CLS]")]
    tokenizer.post_processor = processors.BertProcessing(*ends)
    tokenizer.save(str(file))
    return int(tokenizer.get_vocab_size())


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model folder: BERT of 2 layers and 32 dimensions, random weights, its own WordPiece tokenizer."""
    return write_tiny_base(tmp_path_factory.mktemp("tiny-base"))


def write_tiny_base(folder: Path, *, deviation: float = 0.02) -> Path:
    """Write a base model whose random weights have this deviation; 0.02 is made for hundreds of dimensions."""
    import torch
    from transformers import BertConfig, BertModel

    vocabulary = train_tokenizer(folder / "tokenizer.json")
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=deviation,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def task_spec(folder: Path, name: str, rows: Sequence[Row]) -> TaskSpec:
    """Write the rows of a further task and describe them."""
    file = write_rows(folder / f"{name}.jsonl", rows)
    ref = DatasetRef(id=f"ds_{name}", sha256=sha256_of(file), counts={"train": len(rows)})
    return TaskSpec(name=name, dataset_file=file, dataset=ref, labels=sorted({row.label for row in rows}))


Kind = TypeVar("Kind")


@dataclass
class Recording:
    """Takes the events of a run, in order."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Give the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def recording() -> Recording:
    """Something to give to a pipeline as ``emit``."""
    return Recording()


MakeSpec = Callable[..., AttemptSpec]


@pytest.fixture(scope="session")
def brief_measurements() -> Iterator[None]:
    """Spend next to no time on how long an export takes to answer: most tests only want a figure to be there."""
    from worker.export import latency

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "SECONDS", 0.001)
        yield


@pytest.fixture
def make_spec(tmp_path: Path, tiny_base: Path, brief_measurements: None) -> MakeSpec:
    """Make the spec of an attempt on the toy task; hyperparameters as keywords."""
    return spec_maker(tmp_path, tiny_base)


def spec_maker(folder: Path, tiny_base: Path) -> MakeSpec:
    """Give what makes specs, each with a folder of its own in ``folder``."""

    def make(
        rows: Sequence[Row | SetRow],
        *,
        labels: Sequence[str] = LABELS,
        base: Path | None = tiny_base,
        name: str = "job",
        export: ExportOptions = ExportOptions(),
        request: Mapping[str, Any] | None = None,
        tasks: Mapping[str, Sequence[Row]] | None = None,
        **wishes: Any,
    ) -> AttemptSpec:
        work = folder / name
        work.mkdir()
        wishes = {
            "learning_rate": 5e-3,
            "head_learning_rate_multiplier": 10.0,
        } | wishes  # what so small a model with random weights learns at
        file = write_rows(work / "rows.jsonl", rows)
        return AttemptSpec(
            job_id=f"job_{name}",
            attempt=1,
            model_name="toy",
            work_dir=work,
            dataset_file=file,
            dataset=DatasetRef(id="ds_toy", sha256=sha256_of(file), counts={"train": len(rows)}),
            labels=list(labels),
            tasks=[task_spec(work, task, each) for task, each in (tasks or {}).items()],
            problem_type="multi_label" if isinstance(rows[0], SetRow) else "single_label",
            base_model=BaseModelRef(id="tiny", source="folder" if base else "none"),
            base_model_dir=base,
            request=TrainJobRequest.model_validate(
                {"model": "toy", "dataset_id": "ds_toy", "base_model": "tiny", "export": export, "baselines": False}
                | dict(request or {})
                | {"hyperparameters": Hyperparameters(**wishes)}
            ),
            threads=1,
            bundle_dir=work / "bundle",
        )

    return make


@pytest.fixture
def restored_torch() -> Iterator[None]:
    """Undo what a run sets for its whole process."""
    import torch

    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)

"""Train on the same texts in fp32, fp16 and bf16; say how fast and with how much memory, one line each.

    python bench/gpu_train.py
    python bench/gpu_train.py --device cpu --model tiny --steps 3

The loop is the worker's own, with its batches of like length, its optimizer and its clipping; weights are drawn at
random, since speed and memory do not depend on them. Without a GPU it ends with status 3; a CPU is tried where it is
asked for, in fp32 and bf16, and memory is then that of the whole process so far.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoModelForSequenceClassification, BertConfig, PreTrainedModel

from app.schemas.hyperparameters import Precision, ResolvedHyperparameters
from worker.batch import Batch
from worker.data.batches import bucketed
from worker.device import device_name, peak_memory_mb, seed_everything
from worker.models.head import head_parameters
from worker.models.recompute import recompute
from worker.training.loop import Training

NO_GPU = 3
LABELS = ("no", "perhaps", "yes")
SHAPES = {
    "tiny": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
    "minilm": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    "bert-base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "bert-large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
}
WARM_UP = 3
"""Steps before the clock starts, so that kernels are chosen and the optimizer has its state."""


class Texts:
    """Texts of random ids, from a quarter of the greatest length to all of it."""

    def __init__(self, count: int, longest: int, vocabulary: int) -> None:
        source = np.random.default_rng(0)
        self.lengths = source.integers(max(1, longest // 4), longest + 1, count)
        self._ids = source.integers(5, vocabulary, (count, longest))
        self._labels = source.integers(0, len(LABELS), count)

    def plan(self, batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """Deal the texts into batches as for a job."""
        return bucketed(self.lengths, batch_size, seed=seed, epoch=epoch)

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Pad the texts of ``rows`` to the longest of them."""
        lengths = self.lengths[rows]
        mask = np.arange(lengths.max()) < lengths[:, None]  # (batch, seq)
        ids = np.where(mask, self._ids[rows, : lengths.max()], 0)
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
        return Batch(inputs, torch.from_numpy(self._labels[rows]))


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for; give the exit status."""
    options = parse(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("There is no GPU here that torch can use, so nothing was measured. Try --device cpu.", file=sys.stderr)
        return NO_GPU
    device = torch.device(options.device, 0) if options.device == "cuda" else torch.device("cpu")
    texts = Texts(options.batch_size * options.steps, options.max_length, vocabulary=1000)
    print(
        f"{device_name(device)}, torch {torch.__version__}: {options.model}, {len(texts.lengths)} texts of "
        f"{texts.lengths.min()} to {texts.lengths.max()} tokens, batches of {options.batch_size}, {options.optim}"
    )
    for precision in ("fp32", "fp16", "bf16") if device.type == "cuda" else ("fp32", "bf16"):
        print(measured(precision, texts, device, options), flush=True)
    return 0


def measured(precision: Precision, texts: Texts, device: torch.device, options: argparse.Namespace) -> str:
    """Train in one precision; give the line that tells about it."""
    seed_everything(0)
    model = make_model(options.model, options.max_length, device)
    if options.gradient_checkpointing:
        recompute(model)
    with tempfile.TemporaryDirectory() as folder:
        wishes = wishes_of(precision, options)
        training = Training(
            model,
            texts,
            wishes,
            labels=LABELS,
            head=head_parameters(model),
            total_steps=WARM_UP + options.steps,
            device=device,
            folder=Path(folder),
            evaluate=None,
        )
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        training.rehearse(WARM_UP)
        seconds, parts = timed(training, options.steps, device)
    finite = all(bool(parameter.isfinite().all()) for parameter in model.parameters())
    remarks = ("" if finite else ", weights no longer finite") + (f", batches in {parts} parts" if parts > 1 else "")
    rate = options.steps * options.batch_size / seconds
    line = f"{precision}  {rate:10,.1f} samples/s  {peak_memory_mb(device):10,.0f} MB peak{remarks}"
    del training, model
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return line


def timed(training: Training, steps: int, device: torch.device) -> tuple[float, int]:
    """Give the seconds that so many steps take, and how many parts memory made of each batch."""
    wait(device)
    started = time.perf_counter()
    parts = training.rehearse(steps)
    wait(device)
    return time.perf_counter() - started, parts


def wait(device: torch.device) -> None:
    """Wait until the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def make_model(name: str, longest: int, device: torch.device) -> PreTrainedModel:
    """Draw a BERT of a well-known size."""
    config = BertConfig(
        vocab_size=30_522, max_position_embeddings=max(512, longest), num_labels=len(LABELS), **SHAPES[name]
    )
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    nn.Module.to(model, device)
    return model


def wishes_of(precision: Precision, options: argparse.Namespace) -> ResolvedHyperparameters:
    """Decide everything as a job would."""
    return ResolvedHyperparameters(
        num_train_epochs=1000,
        batch_size=options.batch_size,
        learning_rate=2e-5,
        head_learning_rate_multiplier=1.0,
        class_weights="none",
        dropout=0.1,
        max_length=max(8, options.max_length),
        precision=precision,
        warmup_steps=0,
        optim=options.optim,
        gradient_checkpointing=options.gradient_checkpointing,
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--model", choices=SHAPES, default="bert-base")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--optim", choices=("adamw", "adafactor"), default="adamw")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

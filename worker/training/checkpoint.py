"""Checkpoints on disk: tensors as safetensors, the rest as JSON, a manifest of hashes, all or nothing."""

import json
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from app.artifacts.bundle import describe_files
from worker.checkpoint_files import MANIFEST, damaged, verify

MODEL = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
GENERATORS = "generators.safetensors"
BEST = "best.safetensors"
STATE = "state.json"


def save_weights(model: nn.Module, file: Path) -> None:
    """Write a model's weights; after a crash the file holds the old ones or the new ones, never a mixture."""
    write_tensors(model.state_dict(), file)


def load_weights(model: nn.Module, file: Path) -> None:
    """Read weights back into the model they were saved from."""
    model.load_state_dict(load_file(file))


def write_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write named tensors to a new name, force them to disk, then move them into place."""
    scratch = file.with_name(f".{file.name}.part")
    save_file(_separate(tensors), scratch)
    _sync(scratch)
    scratch.replace(file)
    _sync(file.parent)


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # safetensors refuses tensors that share memory, as tied weights do.
    separate: dict[int, Tensor] = {}
    named = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, tensor in named.items():
        if separate.setdefault(tensor.data_ptr(), tensor) is not tensor:
            named[name] = tensor.clone()
    return named


def save_state(
    folder: Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Any],
    best: Path | None,
    fingerprint: str,
    dice: Mapping[str, Tensor] | None = None,
) -> None:
    """Write everything a run needs to go on bit by bit; ``folder`` appears complete or not at all.

    ``state`` is plain JSON. ``fingerprint`` says what the state belongs to; ``load_state`` asks for the same. ``dice``
    are where the generators of other processes stand, by name.

    Raises OSError or SafetensorError when the disk does not take it; nothing of it is left there then.
    """
    scratch = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir(parents=True)
        write_tensors(model.state_dict(), scratch / MODEL)
        write_tensors(_moments(optimizer), scratch / OPTIMIZER)
        write_tensors({**_torch_generators(), **(dice or {})}, scratch / GENERATORS)
        if best is not None:
            shutil.copyfile(best, scratch / BEST)
            _sync(scratch / BEST)
        _write_json(scratch / STATE, {**state, "generators": _plain_generators()})
        files = {name: entry.model_dump() for name, entry in describe_files(scratch).items()}
        _write_json(scratch / MANIFEST, {"fingerprint": fingerprint, "torch": torch.__version__, "files": files})
        scratch.replace(folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def load_state(folder: Path, *, model: nn.Module, optimizer: torch.optim.Optimizer, fingerprint: str) -> dict[str, Any]:
    """Check every hash, then put model, optimizer and random generators back; give the plain state.

    Raises JobFailure ``damaged-checkpoint`` before anything was changed.
    """
    verify(folder, fingerprint)
    try:
        weights, moments = load_file(folder / MODEL), load_file(folder / OPTIMIZER)
        generators = load_file(folder / GENERATORS)
        state: dict[str, Any] = json.loads((folder / STATE).read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        raise damaged("a file cannot be read") from error
    if {name: value.shape for name, value in model.state_dict().items()} != {n: v.shape for n, v in weights.items()}:
        raise damaged("its network was of another shape")
    model.load_state_dict(weights)
    _restore_moments(optimizer, moments)
    _restore_generators(generators, state.pop("generators"))
    return state


def generators_of(folder: Path) -> dict[str, Tensor]:
    """Give where the generators of all processes stood that took part, by name, from a checkpoint that was verified."""
    return load_file(folder / GENERATORS)


def take_best(folder: Path, file: Path) -> None:
    """Bring the best weights of a checkpoint to ``file``, if an evaluation had found any."""
    if (folder / BEST).is_file():
        scratch = file.with_name(f".{BEST}.part")
        shutil.copyfile(folder / BEST, scratch)
        scratch.replace(file)


def batch_of(folder: Path) -> tuple[int, int] | None:
    """Give the texts of a forward pass and the passes of a step that a checkpoint was made with; None: unreadable."""
    try:
        size, passes = json.loads((folder / STATE).read_bytes())["batch"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (size, passes) if type(size) is int and type(passes) is int else None


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def _restore_moments(optimizer: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _torch_generators() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda.{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def _plain_generators() -> dict[str, Any]:
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {"python": random.getstate(), "numpy": [np.asarray(keys).tolist(), position, has_gauss, gauss]}


def _restore_generators(tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
    torch.set_rng_state(tensors["cpu"])
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            if (state := tensors.get(f"cuda.{index}")) is not None:
                torch.cuda.set_rng_state(state, index)
    version, internal, gauss = plain["python"]
    random.setstate((version, tuple(internal), gauss))
    keys, position, has_gauss, cached = plain["numpy"]
    np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), position, has_gauss, cached))


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content))
    _sync(file)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

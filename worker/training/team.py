"""Several processes that make each optimizer step together, each on its part of the texts, and their one result.

What they compute is added up, never averaged: each part of a loss is divided by the weight of the whole window already.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from worker.orders import Begin, Make, Order, Show
from worker.training.sharing import share
from worker.training.source import Rows

BUCKET = 16 * 1024 * 1024
"""Numbers that are added up at a time: enough to keep a connection busy, few enough to cost little memory."""
PATIENCE = timedelta(hours=1)
"""For one exchange. A process that dies is noticed long before, and one that hangs by the worker's watchdog."""
LOOPBACK = "lo" if sys.platform == "linux" else "lo0"


class Team:
    """One process's way to the others; that of rank 0, which leads, has also a way to give orders."""

    def __init__(self, rank: int, size: int, order: Callable[[Order], None] = lambda _: None) -> None:
        """Take part in the group that ``meet`` has made."""
        self.rank = rank
        self.size = size
        self.order = order

    def share(self, window: Sequence[Rows]) -> list[Rows]:
        """Give this process's rows of a window."""
        return share(window, self.rank, self.size)

    def begin(self, model: nn.Module, resumed_from: Path | None, step: int) -> None:
        """Bring everybody to where the leader is; for the leader."""
        self.order(Begin(resumed_from=resumed_from, step=step))
        self.level(model)

    def make(self, window: Sequence[Rows], *, finished: int, epoch: int, ladder: Mapping[str, int | bool]) -> None:
        """Have everybody begin a step; for the leader."""
        rows = [batch.tolist() for batch in window]
        self.order(
            Make(
                rows=rows,
                finished=finished,
                epoch=epoch,
                parts=int(ladder["parts"]),
                recomputes=bool(ladder["recomputes"]),
            )
        )

    def level(self, model: nn.Module) -> None:
        """Give everybody the leader's weights."""
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                dist.broadcast(tensor.data, src=0)

    def add_up(self, tensor: Tensor) -> Tensor:
        """Add up what everybody has, in place; on a GPU nobody waits for it."""
        dist.all_reduce(tensor)
        return tensor

    def settle(self, parameters: Sequence[nn.Parameter], *, fine: bool) -> list[nn.Parameter] | None:
        """Give the parameters that anybody has a gradient of, when everybody is ``fine``; None: someone is not."""
        word = torch.tensor([not fine, *(parameter.grad is not None for parameter in parameters)], dtype=torch.int32)
        dist.all_reduce(word, op=dist.ReduceOp.MAX)
        failed, *learned = word.tolist()
        if failed:
            return None
        return [parameter for parameter, has in zip(parameters, learned, strict=True) if has]

    def add_up_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their sums over everybody."""
        for bucket in _buckets(parameters):
            flat = torch.cat([_gradient(parameter).reshape(-1) for parameter in bucket])
            dist.all_reduce(flat)
            sums = torch.split(flat, [parameter.numel() for parameter in bucket])
            for parameter, total in zip(bucket, sums, strict=True):
                parameter.grad = total.view_as(parameter)

    def gather_dice(self, device: torch.device) -> dict[str, Tensor]:
        """Collect where the random generators of the others stand, by name; for the leader."""
        self.order(Show())
        found = {}
        for rank in range(1, self.size):
            for kind, state in dice(device).items():
                dist.recv(state, src=rank)
                found[dice_name(rank, kind)] = state
        return found

    def show_dice(self, device: torch.device) -> None:
        """Tell the leader where the random generators of this process stand."""
        for state in dice(device).values():
            dist.send(state, dst=0)


def meet(place: Path, rank: int, size: int, device: torch.device) -> None:
    """Wait for all processes of a group, which find each other by a file and talk over the loopback interface only."""
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = LOOPBACK
    # Decisions travel between the processors, so that nobody has to wait for a GPU to make one.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    store = dist.FileStore(str(place), size)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)


def part() -> None:
    """Leave the group, if this process is in one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def dice(device: torch.device) -> dict[str, Tensor]:
    """Give where the generators of dropout stand, by kind."""
    states = {"cpu": torch.get_rng_state()}
    return states | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def dice_name(rank: int, kind: str) -> str:
    """Name what ``dice`` gives in a checkpoint."""
    return f"rank{rank}.{kind}"


def throw(rank: int, seed: int, step: int, known: Mapping[str, Tensor], device: torch.device) -> None:
    """Put the generators of a process that follows where they stood, or where nobody else's stand."""
    if dice_name(rank, "cpu") not in known:
        torch.manual_seed(int(np.random.SeedSequence([seed, rank, step]).generate_state(1, np.uint64)[0] >> 1))
        return
    torch.set_rng_state(known[dice_name(rank, "cpu")])
    if device.type == "cuda" and (state := known.get(dice_name(rank, "cuda"))) is not None:
        torch.cuda.set_rng_state(state, device)


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        if bucket and sum(each.numel() for each in bucket) + parameter.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket

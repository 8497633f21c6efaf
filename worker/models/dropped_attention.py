"""Attention with dropout on a CPU, block by block: its large intermediate results never leave the caches.

At 512 tokens the weights of one layer are some 100 MB for a batch of eight, and every step of the usual way over them
fetches fresh pages from the kernel. Here a block of weights is made, used and forgotten, and made once more in the
backward pass, with the same elements dropped (Dao et al., "FlashAttention", 2022).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 1 << 20
"""Weights that are made at once: 4 MB."""
HALF = 1 << 14
"""Random numbers are of 15 bits here, from -HALF up to HALF, so that taking a threshold off cannot overflow."""


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, *, scale: float, dropout: float) -> Tensor:
    """Attend with weights of which a share is dropped; give (texts, heads, queries, size), as the query is.

    Keys and values are (texts, heads, width, size); ``bias`` (texts, 1, 1, width) is added to the scores.
    """
    texts, heads = query.shape[:2]
    flat = (each.flatten(0, 1) for each in (query, key, value))
    over = bias.expand(texts, heads, 1, -1).flatten(0, 1).to(query.dtype)
    with torch.autocast(query.device.type, enabled=False):
        answer: Tensor = _Dropped.apply(*flat, over, scale, dropout)  # type: ignore[no-untyped-call]
    return answer.view(texts, heads, *answer.shape[1:])


class _Dropped(torch.autograd.Function):
    """Attention over (heads of all texts, queries or width, size)."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, scale: float, dropout: float
    ) -> Tensor:
        ctx.scale, ctx.dropout = scale, dropout
        ctx.seed = int(torch.randint(2**62, ()))  # torch's own dice, so that a resumed run goes on alike
        answer = torch.empty_like(query)
        for part, weights, mask in _blocks(query, key, bias, scale, dropout, ctx.seed):
            dropped = masked(weights, mask, 1.0 / (1.0 - dropout)).to(value.dtype)
            torch.bmm(dropped, value[part], out=answer[part])
        ctx.save_for_backward(query, key, value, bias, answer)
        return answer

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, bias, answer = ctx.saved_tensors
        gradient = gradient.contiguous()
        grow = 1.0 / (1.0 - ctx.dropout)
        towards = (gradient.float() * answer.float()).sum(dim=-1, keepdim=True)  # (heads, queries, 1)
        of_query, of_key, of_value = (torch.empty_like(each) for each in (query, key, value))
        for part, weights, mask in _blocks(query, key, bias, ctx.scale, ctx.dropout, ctx.seed):
            dropped = masked(weights, mask, grow).to(value.dtype)
            torch.bmm(dropped.transpose(1, 2), gradient[part], out=of_value[part])
            of_weights = torch.bmm(gradient[part], value[part].transpose(1, 2)).float()
            of_scores = masked(of_weights, mask, grow).sub_(towards[part]).mul_(weights).to(query.dtype)
            torch.bmm(of_scores, key[part], out=of_query[part])
            torch.bmm(of_scores.transpose(1, 2), query[part], out=of_key[part])
        return of_query.mul_(ctx.scale), of_key.mul_(ctx.scale), of_value, None, None, None


def _blocks(
    query: Tensor, key: Tensor, bias: Tensor, scale: float, dropout: float, seed: int
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Give which heads, their weights in fp32, and which of those are kept; twice the same for one seed."""
    dice = np.random.SFC64(seed)
    heads, queries, width = len(query), query.shape[1], key.shape[1]
    size = max(1, BLOCK // (queries * width))
    for start in range(0, heads, size):
        part = slice(start, min(start + size, heads))
        scores = torch.baddbmm(bias[part], query[part], key[part].transpose(1, 2), alpha=scale)
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32)  # (block, queries, width)
        yield part, weights, kept(dice, weights.shape, dropout)


def kept(dice: np.random.BitGenerator, shape: torch.Size, p: float) -> Tensor:
    """Draw for each element all bits (kept) or none (dropped), int16; p is exact to 1/32768."""
    count = shape.numel()
    raw = dice.random_raw(-(-count // 4)).view(np.int16)[:count]
    threshold = round((1.0 - p) * 2 * HALF) - HALF
    below = torch.from_numpy(raw).bitwise_right_shift_(1).sub_(threshold)
    return below.bitwise_right_shift_(15).view(shape)  # the sign of what is below the threshold, in every bit


def masked(x: Tensor, kept: Tensor, scale: float) -> Tensor:
    """Give x, fp32, with 0 for what is not kept and the rest ``scale`` times as large."""
    return (x.view(torch.int32) & kept.to(torch.int32)).view(torch.float32).mul_(scale)

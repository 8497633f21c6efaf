"""Attention with dropout on a CPU, block by block: its large intermediate results never leave the caches.

At 512 tokens the weights of one layer are some 100 MB for a batch of eight, and every step of the usual way over them
fetches fresh pages from the kernel. Here a block of weights is made, used and forgotten, and made once more in the
backward pass, with the same elements dropped (Dao et al., "FlashAttention", 2022). Weights have the type of the
queries; their softmax is computed in fp32.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from worker.models.dropping import draw, kept, masked

BLOCK = 1 << 20
"""Weights that are made at once: 2 MB in bf16, 4 in fp32."""


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
        ctx.scale, ctx.dropout, ctx.seed = scale, dropout, draw()
        answer = torch.empty_like(query)
        whole: tuple[Tensor, ...] = ()
        for part, weights, mask in _blocks(query, key, bias, scale, dropout, ctx.seed):
            torch.bmm(masked(weights, mask), value[part], out=answer[part])
            if len(weights) == len(query):  # short texts: what fits into one block costs less to keep than to make anew
                whole = weights, mask
        answer.mul_(1.0 / (1.0 - dropout))
        ctx.save_for_backward(query, key, value, bias, *whole)
        return answer

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, bias, *whole = ctx.saved_tensors
        gradient = gradient * (1.0 / (1.0 - ctx.dropout))
        of_query, of_key, of_value = (torch.empty_like(each) for each in (query, key, value))
        again = _blocks(query, key, bias, ctx.scale, ctx.dropout, ctx.seed)
        for part, weights, mask in [(slice(len(query)), *whole)] if whole else again:
            torch.bmm(masked(weights, mask).transpose(1, 2), gradient[part], out=of_value[part])
            of_weights = masked(torch.bmm(gradient[part], value[part].transpose(1, 2)), mask)
            of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            torch.bmm(of_scores, key[part], out=of_query[part])
            torch.bmm(of_scores.transpose(1, 2), query[part], out=of_key[part])
        return of_query.mul_(ctx.scale), of_key.mul_(ctx.scale), of_value, None, None, None


def _blocks(
    query: Tensor, key: Tensor, bias: Tensor, scale: float, dropout: float, seed: int
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Give which heads, their weights, and which of those are kept; twice the same for one seed."""
    dice = np.random.SFC64(seed)
    heads, queries, width = len(query), query.shape[1], key.shape[1]
    size = max(1, BLOCK // (queries * width))
    for start in range(0, heads, size):
        part = slice(start, min(start + size, heads))
        scores = torch.baddbmm(bias[part], query[part], key[part].transpose(1, 2), alpha=scale)
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)  # (block, queries, width)
        yield part, weights, kept(dice, weights.shape, dropout)

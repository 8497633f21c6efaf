"""The texts of a batch one behind the other, without padding, and attention that stays within each of them.

Only attention sees padding: its inputs are spread out into a rectangle and its answers gathered again. Sizes are
rounded up a little, since a kernel of its own is made for every size that occurs, and that takes longer than the rest.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from worker.models.dropped_attention import attention as dropped_attention

NAME = "tunesmith_packed"
"""Of this attention, in the registry of transformers."""
FINE = 5
"""Rows of tokens are rounded up by 1/32 at most."""
WIDTH = 8
"""Tokens by which the rectangles of attention grow."""


@dataclass(frozen=True, slots=True)
class Packing:
    """Where each token of a padded batch went: all tokens in one row, text after text."""

    firsts: Tensor  # (texts,)
    """Where in the row each text begins."""
    bias: Tensor  # (texts, 1, 1, width)
    """What is added to the scores of attention: 0 for a token, no weight for padding."""
    tokens: Tensor  # (texts, seq) bool
    """What of the batch is no padding."""
    count: int
    """Tokens in the row."""
    length: int
    """Of the row, with a few tokens at its end that belong to no text and are read by none."""
    width: int
    """Of the rectangle of attention, (texts, width)."""
    slots: Tensor  # (length,)
    """For each token of the row, its place in the rectangle; anywhere for those behind the last text."""
    places: Tensor  # (texts * width,)
    """For each place of the rectangle its token in the row; for padding the last one of its text."""

    @classmethod
    def of(cls, attention_mask: Tensor) -> "Packing":
        """Pack a batch whose padding is on the right; its mask is (texts, seq)."""
        lengths = attention_mask.sum(dim=1)
        count, width = int(lengths.sum()), _up(int(lengths.max()), WIDTH)
        length = _up(count, 1 << max(0, count.bit_length() - 1 - FINE))
        text, place = attention_mask.nonzero(as_tuple=True)
        firsts, along = lengths.cumsum(0) - lengths, torch.arange(width, device=attention_mask.device)
        beyond = along >= lengths[:, None]
        bias = torch.zeros(beyond.shape, device=beyond.device).masked_fill_(beyond, -math.inf)
        return cls(
            tokens=attention_mask.bool(),
            firsts=firsts,
            count=count,
            length=length,
            width=width,
            slots=functional.pad(text * width + place, (0, length - count)),
            places=(firsts[:, None] + torch.minimum(along, lengths[:, None] - 1)).flatten(),
            bias=bias[:, None, None],
        )

    @property
    def full(self) -> bool:
        """Whether the row is the rectangle already."""
        return self.count == self.length == len(self.firsts) * self.width

    def pack(self, batch: Tensor) -> Tensor:
        """Put what a batch has for each token, (texts, seq), into one row, (1, length)."""
        return functional.pad(batch[self.tokens], (0, self.length - self.count))[None]

    def spread(self, heads: Tensor) -> Tensor:
        """Turn the heads of a row, (1, heads, length, size), into those of each text, (texts, heads, width, size)."""
        rows = heads.transpose(1, 2)[0]  # (length, heads, size)
        if not self.full:
            rows = _Spread.apply(rows, self.places, self.slots, self.count)  # type: ignore[no-untyped-call]
        return rows.reshape(-1, self.width, *rows.shape[1:]).transpose(1, 2)

    def gather(self, heads: Tensor) -> Tensor:
        """Turn the heads of each text, (texts, heads, width, size), back into a row, (1, length, heads, size)."""
        rows = heads.transpose(1, 2).flatten(0, 1)
        return (rows if self.full else _Gathered.apply(rows, self.slots, self.count))[None]  # type: ignore[no-untyped-call]


class _Spread(torch.autograd.Function):
    """Tokens in their places. What stands in for padding passes nothing back: no weight of attention falls on it, and
    what it attends to itself is not gathered."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor, slots: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(slots)
        ctx.count = count
        return rows.index_select(0, places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (slots,) = ctx.saved_tensors
        found = gradient.index_select(0, slots)
        found[ctx.count :] = 0.0  # those behind the last text
        return found, None, None, None


class _Gathered(torch.autograd.Function):
    """Rows of a rectangle by their places. No place is wanted twice, but by what belongs to no text and learns nothing,
    so that gradients are put where torch would add them, one by one."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, slots: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(slots[:count])
        ctx.shape = rows.shape
        return rows.index_select(0, slots)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slots,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.shape).index_copy_(0, slots, gradient[: len(slots)]), None, None


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


def attend(query: Tensor, key: Tensor, value: Tensor, packing: Packing, *, scale: float, dropout: float) -> Tensor:
    """Let every text attend to itself; give (1, length, heads, size).

    Queries, keys and values are those of the row, (1, heads, length, size).
    """
    q, k, v = (packing.spread(each) for each in (query, key, value))
    return packing.gather(_attention(q, k, v, packing.bias, scale, dropout))


def attend_with_firsts(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, *, scale: float, dropout: float
) -> Tensor:
    """Let the first token of every text attend to its text; give (1, texts, heads, size).

    Queries are those of the first tokens, (1, heads, texts, size), keys and values those of the row.
    """
    answer = _attention(query.transpose(0, 2), packing.spread(key), packing.spread(value), packing.bias, scale, dropout)
    return answer.permute(2, 0, 1, 3)


def _attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, scale: float, dropout: float) -> Tensor:
    if dropout == 0.0:
        return functional.scaled_dot_product_attention(query, key, value, bias.to(query.dtype), scale=scale)
    return dropped_attention(query, key, value, bias, scale=scale, dropout=dropout)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Stand in for transformers' attention: packed where a Packing comes as the mask, else as ever."""
    if not isinstance(attention_mask, Packing):
        answer, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return answer, None
    scale = 1.0 / math.sqrt(query.shape[-1]) if scaling is None else scaling
    return attend(query, key, value, attention_mask, scale=scale, dropout=dropout), None


def register() -> None:
    """Make transformers know this attention; twice does no harm."""
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)

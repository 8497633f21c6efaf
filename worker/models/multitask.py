"""One encoder with a head for each of several tasks: the heads are the rows of one output layer.

Caruana, "Multitask Learning", 1997. A row of a task teaches the encoder and its own head alone, so that one layer with
the labels of all tasks is the same as a layer for each; what a base model has before it, such as a pooler, is shared.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from worker.heads import Head


def note_heads(model: PreTrainedModel, heads: Sequence[Head]) -> None:
    """Write into the config which outputs are whose, for those who use the weights elsewhere; nothing of one task.

    A base model may come with a note of its own heads, which is not true any more.
    """
    vars(model.config).pop("heads", None)
    if len(heads) > 1:
        model.config.heads = [{"name": each.name, "labels": list(each.labels), "offset": each.start} for each in heads]


class OneHead(nn.Module):
    """A model of several tasks as the classifier of one of them."""

    def __init__(self, model: nn.Module, head: Head) -> None:
        super().__init__()
        self.model = model
        self._columns = head.columns

    def forward(self, **inputs: Any) -> SequenceClassifierOutput:
        """Map what the model is called with to the logits of the task, (batch, its labels)."""
        return SequenceClassifierOutput(logits=self.model(**inputs).logits[:, self._columns])

"""Gradient checkpointing: activations inside a layer are forgotten, and computed again in the backward pass.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
"""

from collections.abc import Callable

from transformers import PreTrainedModel


def recompute(model: PreTrainedModel) -> None:
    """Turn it on; dropout falls the same way both times, so that the gradients are those of one forward pass."""
    model.activation_checkpointing_enable({"use_reentrant": False, "preserve_rng_state": True})


def recomputing(model: PreTrainedModel) -> Callable[[], None] | None:
    """Give what turns it on; None when it is on, or the model is not made of layers that can."""
    if not model.supports_gradient_checkpointing or model.is_activation_checkpointing:
        return None
    return lambda: recompute(model)


def keep(model: PreTrainedModel) -> None:
    """Turn it off, if it is on."""
    if model.is_activation_checkpointing:
        model.activation_checkpointing_disable()  # type: ignore[no-untyped-call]

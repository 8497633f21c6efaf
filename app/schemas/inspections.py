"""What a network is made of, as it was loaded for training."""

from app.schemas.base import Resource


class Layer(Resource):
    """One part of a network."""

    name: str
    """Its name, dots between the levels; parts follow what they are parts of."""
    kind: str
    """The class that computes it."""
    parameters: int
    """Numbers in it and in its parts; those shared between parts are counted in each."""


class Inspection(Resource):
    """The network that a job trains."""

    architecture: str
    """The class of the whole network."""
    parameters: int
    """Numbers that it is made of, those in several places counted once."""
    trainable_parameters: int
    """Those that learn in the first step; freezing and unfreezing change it, see the curve
    ``train/trainable_parameters``."""
    size_mb: float
    """Memory that parameters and buffers take on the device, in MiB."""
    device: str
    """What it was loaded on."""
    layers: list[Layer]
    """Its parts down to the third level, lists of layers not counted as one; at most 200."""

"""The model families: which module makes the model that a job asks for."""

import json
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel

from app.schemas.families import (
    EncoderOptions,
    FamilyOptions,
    HierarchicalOptions,
    MultitaskOptions,
    TextCNNOptions,
)
from worker.models import encoder, families, hierarchical, textcnn
from worker.models.multitask import note_heads
from worker.models.network import Blueprint, Loaded, Network


def build(options: FamilyOptions, blueprint: Blueprint) -> Network:
    """Make the network of a family. Seed torch before: what is new in it is random. Raises JobFailure."""
    network = _network(options, blueprint)
    several = blueprint.problem_type == "multi_label"
    network.model.config.problem_type = "multi_label_classification" if several else "single_label_classification"
    note_heads(network.model, blueprint.heads)
    return network


def _network(options: FamilyOptions, blueprint: Blueprint) -> Network:
    match options:
        case EncoderOptions() | MultitaskOptions():  # heads are rows of one output layer
            return encoder.build(blueprint)
        case TextCNNOptions():
            return textcnn.build(options, blueprint)
        case HierarchicalOptions():
            return hierarchical.build(options, blueprint)


def load_trained(folder: Path, labels: Sequence[str]) -> Loaded:
    """Load a trained classifier of any family, told by its ``config.json``. Raises JobFailure."""
    match json.loads((folder / "config.json").read_bytes()).get("model_type"):
        case textcnn.MODEL_TYPE:
            return textcnn.load(folder, labels)
        case families.HIERARCHICAL:
            return hierarchical.load(folder, labels)
    return encoder.load(folder, labels)


def reload(options: FamilyOptions, folder: Path, labels: Sequence[str]) -> PreTrainedModel:
    """Load a checkpoint of a family, as a bundle has it. Raises JobFailure ``unsupported-base-model``."""
    match options:
        case EncoderOptions() | MultitaskOptions():
            return encoder.load(folder, labels).model
        case TextCNNOptions():
            return textcnn.load(folder, labels).model
        case HierarchicalOptions():
            return hierarchical.load(folder, labels).model

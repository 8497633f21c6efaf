"""Jobs in files: our own, and the configurations of other training scripts."""

from pathlib import Path
from typing import Any

import pytest
import typer

from app.cli.job_file import JobFile, read_job_file
from app.cli.wishes import job_of
from app.cli.yaml_file import read_yaml
from app.schemas.jobs import TrainJobRequest

RECIPE = """
model: {name: transformer_model, architecture: transformer, pretrained_model: bert-base-uncased, num_labels: 2,
        hidden_size: 768, hidden_dropout_prob: 0.1}
training:
  learning_rate: 2e-5
  batch_size: 16
  num_epochs: 10
  warmup_steps: 500
  fp16: true
  eval_steps: 500
  optimizer: "adamw"
  adam_epsilon: 1e-8
  scheduler_type: "linear"
  save_steps: 1000
data:
  augmentation: {enabled: true, techniques: [random_swap], probability: 0.1}
wandb: {project: mine}
"""
NETWORK = "model: {name: cnn_model, architecture: cnn, embed_size: 64, filter_sizes: [3, 4], dropout_prob: 0.5}"


def read(tmp_path: Path, text: str, name: str = "job.yaml") -> JobFile:
    file = tmp_path / name
    file.write_text(text)
    return read_job_file(file)


def test_a_flat_file_of_hyperparameters_is_understood(tmp_path: Path) -> None:
    job = read(tmp_path, '{"num_epochs": 4, "learning_rate": 2e-5, "dropout_prob": 0.1}', "model_config.json")
    assert job.request == {"hyperparameters": {"num_train_epochs": 4, "learning_rate": 2e-5, "dropout": 0.1}}
    assert job.notes == ["num_epochs is num_train_epochs", "dropout_prob is dropout"]


def test_a_file_in_sections_becomes_a_request_that_the_service_takes(tmp_path: Path) -> None:
    job = read(tmp_path, RECIPE)
    request = TrainJobRequest.model_validate({"dataset_id": "ds_1"} | job.request)
    wishes = request.hyperparameters
    assert (request.model, request.base_model, request.family.type) == (
        "transformer_model",
        "bert-base-uncased",
        "encoder",
    )
    assert (wishes.learning_rate, wishes.num_train_epochs, wishes.adam_epsilon) == (2e-5, 10, 1e-8)
    assert (wishes.eval_strategy, wishes.save_strategy, wishes.precision) == ("steps", "steps", "auto")
    assert wishes.augmentation is not None
    said = "\n".join(job.notes)
    for words in ("num_labels is left out", "hidden_dropout_prob is left out", "wandb is left out", "fp16: true"):
        assert words in said


def test_the_options_of_a_convolutional_network_are_those_of_its_family(tmp_path: Path) -> None:
    request = TrainJobRequest.model_validate({"dataset_id": "ds_1"} | read(tmp_path, NETWORK).request)
    assert request.family.model_dump(exclude_unset=True) == {
        "type": "textcnn", "embed_size": 64, "filter_sizes": [3, 4], "dropout": 0.5,
    }  # fmt: skip


def test_data_lie_beside_the_file_that_names_them(tmp_path: Path) -> None:
    job = read(tmp_path, "model: m\ndata: {file: rows.csv, text_column: body, seed: 3}")
    assert (job.data, job.reading) == (tmp_path / "rows.csv", {"text_column": "body", "seed": 3})
    assert read(tmp_path, "model: m\ndataset_id: ds_1").dataset == "ds_1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modle: m", "modle is not a known field; did you mean model?"),
        ("training: {lerning_rate: 1}", "did you mean learning_rate?"),
        ("training: {lr: 1, learning_rate: 1}", "learning_rate is given twice"),
        ("training: 5", "training: this is a mapping"),
        ("data: {fiel: x}", "did you mean file?"),
        ("model: {nmae: x}", "did you mean name?"),
        ("compute_environment: LOCAL_MACHINE", "accelerate"),
        ("- a\n- b", "not a mapping"),
        ("a: [1", "cannot be read: expected"),
        ("a: 1\na: 2", "the key a is there twice"),
        ("a: !!python/object:os.system x", "cannot be read: could not determine a constructor"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        read(tmp_path, text)
    assert said in refused.value.message


def test_flags_win_over_the_file_field_by_field(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(
        "model: m\nexport: {formats: [onnx, onnx-int8], serve: auto}\ntraining: {warmup_steps: 5, epochs: 3}"
    )
    job = job_of(file, {"model": "n", "export": {"serve": "onnx"}, "priority": None}, {"warmup_ratio": "0.2"})
    assert job.request == {
        "model": "n",
        "export": {"formats": ["onnx", "onnx-int8"], "serve": "onnx"},
        "hyperparameters": {"num_train_epochs": 3, "warmup_ratio": 0.2},
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [("2e-5", 2e-5), ("no", "no"), ("on", "on"), ("true", True), ("~", None), ("007", 7), ("1_000", "1_000")],
)
def test_words_and_numbers_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    assert read_yaml(text) == value


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ValueError, match="depth"):
        read_yaml("[" * 1100)

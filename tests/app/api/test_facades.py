"""Clients of other services, as their makers publish them, against a service on a real port."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from tritonclient.utils import InferenceServerException

from app.artifacts.store import store_of
from app.schemas.jobs import BaseModelRef, TrainJobRequest
from app.settings import Settings
from app.store import datasets, jobs, tables
from tests.app.api.conftest import publish_version
from tests.app.conftest import make_dataset
from tests.app.live_service import LiveService, live_service

KEY = "a-key-of-thirty-two-characters-00"
TEXTS = ["good", "bad bad"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[LiveService]:
    """A service with a model that tells good from bad, and another that gives any number of labels."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copyfile(_sqlite_template, folder / "tunesmith.db")
    settings = Settings(
        _env_file=None,
        data_dir=folder,
        database_url=f"sqlite:///{folder / 'tunesmith.db'}",
        api_key=KEY,
        max_predict_texts=8,
        log_level="ERROR",
    )
    with live_service(settings) as service:
        dataset = service.do(lambda session: datasets.insert(session, make_dataset("ds_1")))
        for model, changes in (("mood", {}), ("mood", {}), ("sets", {"problem_type": "multi_label"})):
            job_id = service.do(lambda session, model=model: submit(session, model, dataset)).id
            artifacts = store_of(settings)
            publish_version(service.database, artifacts, job_id, model, folder / "bundles" / job_id, **changes)
        yield service


def submit(session: Any, model: str, dataset: tables.Dataset) -> tables.Job:
    """Queue a job that is never trained."""
    return jobs.submit(
        session,
        request=TrainJobRequest(model=model, dataset_id=dataset.id, base_model="minilm-l6"),
        request_sha256="0" * 64,
        dataset=dataset,
        base_model=BaseModelRef(id="minilm-l6", source="package"),
        warnings=[],
        max_attempts=3,
    )


@pytest.fixture
def plain(service: LiveService) -> Iterator[httpx.Client]:
    """A client with the key."""
    with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client


@pytest.fixture
def expected(plain: httpx.Client) -> list[dict[str, Any]]:
    """What our own dialect says of the texts."""
    body = {"model": "mood", "inputs": TEXTS, "return_all_scores": True}
    predictions: list[dict[str, Any]] = plain.post("/predict", json=body).json()["predictions"]
    assert [prediction["label"] for prediction in predictions] == ["a", "b"]
    return predictions


class Triton:
    """The client of Triton with our key in each call."""

    def __init__(self, url: str) -> None:
        self._client = triton.InferenceServerClient(url.removeprefix("http://"))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)
        return lambda *args, **kwargs: call(*args, headers={"Authorization": f"Bearer {KEY}"}, **kwargs)


@pytest.fixture
def kserve(service: LiveService) -> Triton:
    """NVIDIA's client of the Open Inference Protocol."""
    return Triton(service.url)


def tensor(texts: list[str], *, shape: list[int] | None = None, binary: bool = True) -> triton.InferInput:
    """Make the input of a request."""
    made = triton.InferInput("text", shape or [len(texts)], "BYTES")
    made.set_data_from_numpy(np.array(texts, dtype=np.object_).reshape(shape or [-1]), binary_data=binary)
    return made


def test_triton_finds_the_service_and_its_models(kserve: Triton) -> None:
    assert kserve.is_server_live() and kserve.is_server_ready()
    assert kserve.get_server_metadata()["name"] == "tunesmith"
    assert kserve.is_model_ready("mood") and kserve.is_model_ready("mood", "1")
    assert not kserve.is_model_ready("none") and not kserve.is_model_ready("mood", "9")
    told = kserve.get_model_metadata("mood", "1")
    assert told["versions"] == ["2", "1"]
    assert [(output["name"], output["datatype"], output["shape"]) for output in told["outputs"]] == [
        ("label", "BYTES", [-1]),
        ("score", "FP32", [-1]),
        ("probabilities", "FP32", [-1, 2]),
        ("prediction_id", "BYTES", [-1]),
    ]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_triton_is_answered_as_our_own_clients_are(
    kserve: Triton, expected: list[dict[str, Any]], binary: bool, shape: list[int]
) -> None:
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("label", "score", "probabilities")]
    answer = kserve.infer("mood", [tensor(TEXTS, shape=shape, binary=binary)], outputs=outputs, request_id="7")
    label = answer.as_numpy("label").tolist()
    assert [word.decode() if isinstance(word, bytes) else word for word in label] == ["a", "b"]
    assert answer.as_numpy("score") == pytest.approx([row["score"] for row in expected], abs=1e-6)
    rows = [[row["scores"][name] for name in "ab"] for row in expected]
    assert answer.as_numpy("probabilities") == pytest.approx(np.array(rows), abs=1e-6)
    assert answer.get_response()["id"] == "7"
    assert answer.get_response()["model_version"] == "2"


def test_triton_gets_what_it_asked_for_and_all_by_default(kserve: Triton) -> None:
    everything = kserve.infer("mood", [tensor(TEXTS)], model_version="1").get_response()
    assert [output["name"] for output in everything["outputs"]] == ["label", "score", "probabilities"]
    assert all("binary_data_size" in output["parameters"] for output in everything["outputs"])
    assert everything["model_version"] == "1"
    mixed = [triton.InferRequestedOutput("score"), triton.InferRequestedOutput("label", binary_data=False)]
    answer = kserve.infer("mood", [tensor(["grün ☃ good"])], outputs=mixed)
    assert [output["name"] for output in answer.get_response()["outputs"]] == ["score", "label"]
    assert answer.as_numpy("label").tolist() == ["a"] and answer.as_numpy("probabilities") is None


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ({"model_name": "moot", "inputs": [tensor(["x"])]}, "404", "Did you mean 'mood'"),
        ({"model_name": "mood", "inputs": [tensor(["x"])], "model_version": "7"}, "404", "no version 7"),
        ({"model_name": "mood@champion", "inputs": [tensor(["x"])], "model_version": "1"}, "422", "twice"),
        ({"model_name": "mood", "inputs": [triton.InferInput("words", [1], "BYTES")]}, "422", "/inputs/0/name"),
        ({"model_name": "mood", "inputs": [tensor(["x"])], "priority": 3}, "422", "/parameters/priority"),
        ({"model_name": "mood", "inputs": [tensor(["x"] * 9)]}, "413", "9 texts"),
    ],
)
def test_triton_is_told_what_was_wrong(kserve: Triton, call: dict[str, Any], status: str, words: str) -> None:
    for value in call["inputs"]:
        if value.name() == "words":
            value.set_data_from_numpy(np.array(["x"], dtype=np.object_))
    with pytest.raises(InferenceServerException) as refused:
        kserve.infer(**call)
    assert refused.value.status() == status
    assert words in refused.value.message()


def test_triton_without_the_key_is_told_so(service: LiveService) -> None:
    stranger = triton.InferenceServerClient(service.url.removeprefix("http://"))
    assert stranger.is_server_live() and stranger.is_server_ready()
    with pytest.raises(InferenceServerException, match="valid key"):
        stranger.get_model_metadata("mood")


@pytest.mark.parametrize(
    ("content", "length", "place"),
    [
        (b'{"inputs":[%s]}\x09\x00\x00\x00bad', 80, "/inputs/0/parameters"),
        (b'{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":[3]}]}', None, "/inputs/0/data/0"),
        (b'{"inputs":[{"name":"text","datatype":"BYTES","shape":[3],"data":["x"]}]}', None, "/inputs/0/shape"),
        (b'{"inputs":[{"name":"text","datatype":"BYTES","shape":[0],"data":[]}]}', None, "/inputs/0/shape"),
        (b'{"inputs":[{"name":"text","datatype":"FP32","shape":[1],"data":["x"]}]}', None, "/inputs/0/datatype"),
    ],
)
def test_a_malformed_tensor_is_pointed_at(plain: httpx.Client, content: bytes, length: int | None, place: str) -> None:
    inner = b'{"name":"text","datatype":"BYTES","shape":[1]}'
    content = content.replace(b"%s", inner)
    if length is not None:
        length = content.index(b"]}\x09") + 2
    headers = {} if length is None else {"Inference-Header-Content-Length": str(length)}
    answer = plain.post("/v2/models/mood/infer", content=content, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, place)
    assert place in answer.json()["error"]


@pytest.mark.parametrize("data", [b"\x09\x00\x00\x00bad", b"\x01\x00\x00", b"\x01\x00\x00\x00\xff"])
def test_broken_bytes_are_refused(plain: httpx.Client, data: bytes) -> None:
    head = b'{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":%d}}]}' % len(
        data
    )
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = plain.post("/v2/models/mood/infer", content=head + data, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-tensor")


def test_the_client_of_hugging_face_is_answered(service: LiveService, expected: list[dict[str, Any]]) -> None:
    client = InferenceClient(model=f"{service.url}/models/mood", token=KEY)
    answer = client.text_classification("bad bad")
    assert [(element.label, element.score) for element in answer] == list(expected[1]["scores"].items())
    assert [element.label for element in client.text_classification("good", top_k=1)] == ["a"]
    assert client.text_classification("good", function_to_apply="softmax")[0].label == "a"
    sets = InferenceClient(model=f"{service.url}/models/sets:1", token=KEY)
    assert {element.label for element in sets.text_classification("good", function_to_apply="sigmoid")} == {"a", "b"}


@pytest.mark.parametrize(
    ("path", "wish", "status", "words"),
    [
        ("mood", {"function_to_apply": "none"}, 422, "function_to_apply"),
        ("mood", {"function_to_apply": "sigmoid"}, 422, "trained with softmax"),
        ("sets", {"function_to_apply": "softmax"}, 422, "trained with sigmoid"),
        ("mood", {"top_k": 0}, 422, "top_k"),
        ("moot", {}, 404, "Did you mean 'mood'"),
    ],
)
def test_the_client_of_hugging_face_is_told_what_was_wrong(
    service: LiveService, path: str, wish: dict[str, Any], status: int, words: str
) -> None:
    client = InferenceClient(model=f"{service.url}/models/{path}", token=KEY)
    with pytest.raises(HfHubHTTPError) as refused:
        client.text_classification("good", **wish)
    assert refused.value.response.status_code == status
    assert words in str(refused.value) and words in refused.value.response.json()["error"]


def test_several_texts_of_hugging_face_are_several_lists(plain: httpx.Client) -> None:
    answer = plain.post("/models/mood", json={"inputs": TEXTS, "parameters": {"top_k": 1}}).json()
    assert [[element["label"] for element in row] for row in answer] == [["a"], ["b"]]


def test_text_embeddings_inference_is_answered(plain: httpx.Client, expected: list[dict[str, Any]]) -> None:
    rows = [[{"label": label, "score": score} for label, score in row["scores"].items()] for row in expected]
    several = plain.post("/tei/mood/predict", json={"inputs": [[text] for text in TEXTS], "raw_scores": False})
    assert several.json() == rows
    for alone in ("good", ["good"]):
        assert plain.post("/tei/mood/predict", json={"inputs": alone, "truncate": True}).json() == rows[0]
    told = plain.get("/tei/mood/info").json()
    assert (told["model_id"], told["max_input_length"], told["max_client_batch_size"]) == ("mood:2", 32, 8)
    assert told["model_type"]["classifier"]["label2id"] == {"a": 0, "b": 1}
    assert len(told["model_sha"]) == 64
    assert plain.get("/tei/mood:1/health").status_code == 200


def test_the_client_of_hugging_face_speaks_to_text_embeddings_inference(service: LiveService) -> None:
    client = InferenceClient(model=f"{service.url}/tei/mood/predict", token=KEY)
    assert (
        client.text_classification("bad bad").label == "b"
    )  # that server answers one list, the client takes its first


@pytest.mark.parametrize(
    ("model", "body", "status", "words"),
    [
        ("mood", {"inputs": "good", "raw_scores": True}, 422, "raw_scores"),
        ("mood", {"inputs": ["good", "bad"]}, 422, "pair"),
        ("mood", {"inputs": [["good"], ["good", "bad"]]}, 422, "/inputs/1"),
        ("mood", {"inputs": "good " * 40}, 413, "at most 32 tokens. Given: 40"),
        ("mood", {"inputs": [["x"]] * 9}, 413, "9 texts"),
        ("moot", {"inputs": "good"}, 404, "Did you mean 'mood'"),
    ],
)
def test_text_embeddings_inference_tells_what_was_wrong(
    plain: httpx.Client, model: str, body: dict[str, Any], status: int, words: str
) -> None:
    answer = plain.post(f"/tei/{model}/predict", json=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert answer.json()["error_type"] == "Validation"
    if status == 413 and "tokens" in words:
        assert plain.post(f"/tei/{model}/predict", json=body | {"truncate": True}).status_code == 200


@pytest.fixture
def logged(plain: httpx.Client) -> str:
    """An alias that logs what it answers; servers follow within a second."""
    plain.put("/models/mood/aliases/kept", json={"version": 2}).raise_for_status()
    wish = {"log": {"percent": 100, "keep_text": True}}
    plain.put("/models/mood/aliases/kept/traffic", json=wish).raise_for_status()
    deadline = time.monotonic() + 30
    while plain.post("/models/mood@kept/predict", json={"inputs": "x"}).json()["predictions"][0]["id"] is None:
        assert time.monotonic() < deadline, "the log never began"
        time.sleep(0.05)
    return "mood@kept"


def test_what_dialects_answer_is_logged_and_can_be_judged(plain: httpx.Client, kserve: Triton, logged: str) -> None:
    texts = ["good", "bad: write to me@example.org"]
    tensors = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": texts}]}
    for path, body in (
        (f"/models/{logged}", {"inputs": texts}),
        (f"/tei/{logged}/predict", {"inputs": [[text] for text in texts]}),
        (f"/v2/models/{logged}/infer", tensors),
    ):
        answer = plain.post(path, json=body)
        ids = answer.headers["X-Prediction-Ids"].split(", ")
        assert (len(set(ids)), answer.headers["X-Model-Version"]) == (2, "mood:2")
        kept = plain.post(f"/predictions/{ids[1]}/feedback", json={"label": "b"}).json()
        assert (kept["text"], kept["truth"]) == ("bad: write to [EMAIL]", ["b"])
    outputs = [triton.InferRequestedOutput("prediction_id")]
    [by_tensor] = kserve.infer(logged, [tensor(["good"])], outputs=outputs).as_numpy("prediction_id").tolist()
    assert plain.get(f"/predictions/{by_tensor.decode()}").status_code == 200
    unlogged = plain.post("/models/mood:2", json={"inputs": "good"})
    assert "X-Prediction-Ids" not in unlogged.headers
    [nothing] = kserve.infer("mood", [tensor(["good"])], outputs=outputs).as_numpy("prediction_id").tolist()
    assert nothing in (b"", "")


def test_our_own_paths_keep_to_our_own_errors(plain: httpx.Client) -> None:
    for answer in (plain.get("/models/none"), plain.post("/models/none/predict", json={"inputs": "x"})):
        assert answer.status_code == 404
        assert "error" not in answer.json()

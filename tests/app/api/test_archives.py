"""GET /models/{name}/versions/{n}/archive: whole, stable, honest, and runnable by its own instructions."""

import hashlib
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.schemas.metrics import ClassScores, Evaluation
from app.schemas.text import TextOptions
from tests.app.api.judged import a_slice
from tests.app.api.problem import problem_of

URL = "/models/mood/versions/1/archive"


def folder_of(client: TestClient, place: Path) -> Path:
    """Download and unpack version 1."""
    with zipfile.ZipFile(io.BytesIO(client.get(URL).content)) as archive:
        archive.extractall(place)
    return place / "mood-v1"


def test_the_archive_has_every_file_of_the_manifest(
    client: TestClient, publish: Callable[..., int], tmp_path: Path
) -> None:
    publish()
    folder = folder_of(client, tmp_path)
    version = client.get("/models/mood/versions/1").json()
    assert version["links"]["archive"] == URL
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {*version["files"], "manifest.json", "README.md"}
    assert hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest() == version["manifest_sha256"]


def test_the_card_can_be_read_alone(client: TestClient, publish: Callable[..., int], tmp_path: Path) -> None:
    publish(slices=[a_slice("source=web", 200, 0.55)])
    card = client.get(client.get("/models/mood/versions/1").json()["links"]["card"])
    assert card.headers["content-type"].startswith("text/markdown")
    assert card.text == (folder_of(client, tmp_path) / "README.md").read_text()
    assert "| source=web | 200 | 90.0 % | 0.550 | 0.500 to 0.950 |" in card.text
    assert problem_of(client.get("/models/mood/versions/9/card")) == (404, "version-not-found")


def test_the_same_version_is_the_same_zip(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    first, again = client.get(URL), client.get(URL)
    assert first.content == again.content
    assert first.headers["etag"] == again.headers["etag"]
    assert int(first.headers["content-length"]) == len(first.content)
    assert first.headers["content-disposition"] == 'attachment; filename="mood-v1.zip"'
    assert client.get(URL, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    publish()
    assert client.get("/models/mood/versions/2/archive").headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    "text",
    [
        TextOptions(),
        TextOptions(lowercase=True, urls="replace", strip_mentions=True, unicode_normalization="NFKC"),
        TextOptions(lowercase=True, urls="remove", html="remove"),
    ],
    ids=["plain", "cleaned", "without-urls-and-markup"],
)
def test_the_card_tells_how_to_run_it_and_it_runs(
    client: TestClient, publish: Callable[..., int], tmp_path: Path, text: TextOptions
) -> None:
    """The program of the card, on a text that only the right cleaning makes good, answers as the service does."""
    publish(text=text)
    folder = folder_of(client, tmp_path)
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert code is not None
    asked = "GOOD  g&#111;od <b class='bad'> @bad http://bad" if text.lowercase else "good   good bad"
    program = code.group(1).replace("Write your own texts here.", asked)
    ran = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    served = client.post("/predict", json={"model": "mood", "inputs": asked}).json()["predictions"][0]
    label, score, *_ = ran.stdout.split()
    assert label == served["label"] == "a"
    assert float(score) == pytest.approx(served["score"], abs=1e-4)


def test_the_card_of_a_version_with_label_sets_says_so_and_its_program_answers_as_the_service_does(
    client: TestClient, publish: Callable[..., int], tmp_path: Path
) -> None:
    """Good alone has label a, good and bad have both, an unknown word has neither: at thresholds of its own."""
    sets = evaluation_of_sets()
    publish(problem_type="multi_label", thresholds=[0.6, 0.7], validation=sets, test=sets)
    folder = folder_of(client, tmp_path)
    card = (folder / "README.md").read_text()
    for told in ("any number of 2 labels", "| a | 0.600 |", "| test | 4 | 50.0 % | 25.0 % | 0.750 |", "the sigmoid"):
        assert told in card
    assert "commonest label" not in card
    assert "softmax" not in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    texts = ["good", "good bad", "dull"]
    program = code.group(1).replace('["Write your own texts here."]', repr(texts))
    ran = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    served = client.post("/predict", json={"model": "mood", "inputs": texts}).json()["predictions"]
    assert [sorted(answer["labels"]) for answer in served] == [["a"], ["a", "b"], []]
    assert [line.partition(" {")[0] for line in ran.stdout.splitlines()] == ["['a']", "['a', 'b']", "[]"]


def evaluation_of_sets() -> Evaluation:
    """Scores as of rows with any number of labels."""
    each = [ClassScores(label=label, precision=0.5, recall=0.5, f1=0.5, support=3) for label in ("a", "b")]
    scalars = {name: 0.75 for name in Evaluation.model_fields if name.startswith(("f1", "precision", "recall"))}
    return Evaluation(
        split="test", examples=4, loss=0.6, accuracy=0.5, hamming_loss=0.25, per_class=each, confusion_matrix=[],
        **scalars,
    )  # fmt: skip


def test_the_card_is_honest(client: TestClient, publish: Callable[..., int], tmp_path: Path) -> None:
    publish()
    card = (folder_of(client, tmp_path) / "README.md").read_text()
    for told in ("mood, version 1", "2 labels: a, b", "minilm-l6", "| test | 4 | 75.0 % |", "2" * 64, "| seed | 42 |"):
        assert told in card
    assert "right in 50.0 % of the test rows" in card
    assert "4 rows are few" in card
    assert "not calibrated" in card


def test_nothing_is_downloaded_that_does_not_exist(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    assert problem_of(client.get("/models/mood/versions/2/archive")) == (404, "version-not-found")
    assert problem_of(client.get("/models/moody/versions/1/archive")) == (404, "model-not-found")


def test_a_lost_file_is_told_and_a_changed_one_ends_the_download(
    client: TestClient, publish: Callable[..., int], data_dir: Path
) -> None:
    publish()
    [model] = data_dir.glob("artifacts/models/*/1/model.onnx")
    content = model.read_bytes()
    model.write_bytes(content[:-1] + b"X")
    whole: Any = client.get(URL)
    assert not zipfile.is_zipfile(io.BytesIO(whole.content))
    model.unlink()
    assert problem_of(client.get(URL)) == (503, "damaged-bundle")

"""Commands against a real API: what they print, for people and for programs, and how they end."""

import json
import re
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli.imports import source_of
from app.cli.main import COMMANDS
from app.cli.run import parser_of
from app.client import Tunesmith
from app.schemas.datasets import Dataset
from app.schemas.evaluations import Judgement, ScoreIntervals
from app.schemas.jobs import Job
from app.schemas.judgements import Interval, PartScores
from app.schemas.metrics import TaskEvaluation
from app.schemas.sources import ImportRequest
from app.store import batches, imports, tables
from tests.app.cli.conftest import Run
from tests.app.live_service import LiveService, training_events
from worker.evaluation.metrics import confusion_matrix, score


@pytest.fixture
def job(client: Tunesmith, dataset: Dataset) -> Job:
    return client.train("mood", dataset, base_model="minilm-l6")


def test_the_list_of_commands_comes_without_what_they_need() -> None:
    heavy = "{'httpx', 'pydantic', 'sqlalchemy', 'uvicorn', 'app.client', 'app.settings'}"
    code = f"import sys, app.cli.main; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(run: Run, name: str) -> None:
    shown = run(*name.split(), "--help")
    assert shown.status == 0
    assert f"python -m app {name}" in shown.out
    assert callable(parser_of(COMMANDS[name].module, COMMANDS[name].function))


def test_training_uploads_follows_and_tells_a_failure(service: LiveService, run: Run, file: Path) -> None:
    def work() -> None:
        with Tunesmith(service.url) as client:
            while not (found := list(client.jobs(model="from-file"))):
                pass
            claim = service.claim(found[0].id)
            service.enter(claim, "training")
            service.tell(claim, *training_events([10, 20], total=20))
            service.fail(claim)

    worker = threading.Thread(target=work)
    worker.start()
    ran = run("train", file, "--model", "from-file", "--model-name", "minilm-l6", "--batch_size", "8", "--epochs", "2")
    worker.join()
    assert ran.status == 1
    assert "40 rows" in ran.out
    assert "training takes 20 steps on cpu" in ran.out
    assert "validation at step 10: loss 0.5000  accuracy 0.7500  f1_macro 0.7000  best so far" in ran.out
    assert "The loss is not a number." in ran.err
    assert "Halve learning_rate." in ran.err


def test_training_on_an_uploaded_dataset_without_waiting(run: Run, client: Tunesmith, dataset: Dataset) -> None:
    ran = run(
        *("train", "--dataset", dataset.id, "--model", "quiet", "--base-model", "minilm-l6", "--no-wait", "--json"),
        *("--lr", "1e-4", "--patience", "null", "--metadata", "team=a", "--priority", "5", "--export", "onnx"),
    )
    assert ran.status == 0
    job = client.job(json.loads(ran.out)["id"])
    assert job.hyperparameters["learning_rate"] == 1e-4
    assert job.hyperparameters["early_stopping_patience"] is None
    assert (job.metadata, job.priority) == ({"team": "a"}, 5)


def test_a_dry_run_stores_no_job(run: Run, client: Tunesmith, dataset: Dataset) -> None:
    ran = run(
        "train", "--dataset", dataset.id, "--model", "dry", "--base-model", "minilm-l6", "--dry-run", "--urls", "remove"
    )
    plan = json.loads(ran.out)
    assert plan["estimate"]["train_rows"] == 32
    assert plan["request"]["text"]["urls"] == "remove"
    assert list(client.jobs(model="dry")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "m"], "FILE or --dataset"),
        (
            ["--model", "m", "--dataset", "ds_1", "--batch-size", "0"],
            "batch_size: should be greater than or equal to 1",
        ),
        (["--model", "M m", "--dataset", "ds_1"], "model: "),
        (["--model", "m", "--dataset", "ds_1", "--metadata", "team"], "KEY=VALUE"),
        (["--model", "m", "--dataset", "ds_1", "--colour", "red"], "--colour"),
        (["--model", "m", "--dataset", "ds_1", "--label-names", "[1"], "label names"),
        (["no-such-file.csv", "--model", "m"], "no-such-file.csv"),
        (["--dataset", "ds_1"], "--model NAME"),
        (["--model", "m", "--dataset", "ds_1", "--output_dir", "x"], "registry;"),
        (["--model", "m", "--dataset", "ds_1", "--per_device_train_batch_size=8"], "--batch-size"),
        (["--model", "m", "--dataset", "ds_1", "--dataloader_num_workers", "8"], "remove it"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(run: Run, arguments: list[str], said: str) -> None:
    ran = run("train", *arguments)
    assert ran.status == 2
    assert said in ran.err


def test_a_refusal_is_told_with_its_remedy(run: Run) -> None:
    ran = run("job", "job_" + "0" * 32)
    assert ran.status == 4
    assert "The job does not exist." in ran.err
    assert "-m app jobs lists the jobs" in ran.err
    assert "job-not-found" in ran.err


def test_nobody_there_has_a_status_of_its_own(run: Run) -> None:
    ran = run("--url", "http://127.0.0.1:9", "jobs")
    assert ran.status == 3
    assert "make run" in ran.err


def test_an_address_or_a_key_that_cannot_be_used_is_wrong_usage(run: Run) -> None:
    ran = run("--url", "127.0.0.1:8000", "jobs")
    assert ran.status == 2
    assert "http://HOST:PORT" in ran.err
    ran = run("--api-key", "schlüssel", "jobs")
    assert ran.status == 2
    assert "schlüssel" not in ran.err


def test_options_stand_under_their_headings(run: Run) -> None:
    lines = run("train", "--help").out.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Arguments:", "Options:", "Reading the file:", "Hyperparameters:", "Text:"]
    first, second = (next(n for n, line in enumerate(lines) if flag in line) for flag in ("--text-column", "--epochs"))
    assert lines.index("Reading the file:") < first < lines.index("Hyperparameters:") < second


def test_watching_tells_events_to_programs_one_a_line(service: LiveService, run: Run, job: Job) -> None:
    claim = service.claim(job.id)
    service.tell(claim, *training_events([10, 20], total=20))
    service.fail(claim)
    ran = run("watch", job.id, "--json")
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["data"]["to"] == "failed"
    assert ran.status == 1


def test_watching_a_success_ends_with_what_it_left(service: LiveService, run: Run, job: Job) -> None:
    version = service.publish(job.id, "mood")
    ran = run("watch", job.id)
    assert ran.status == 0
    assert f"mood version {version}" in ran.out
    assert "always answering the commonest label would score 0.50" in ran.out


def test_lists_for_people(service: LiveService, run: Run, job: Job, dataset: Dataset) -> None:
    service.publish(job.id, "mood")
    assert job.id in run("jobs", "--model", "mood").out
    assert dataset.id in run("datasets").out
    assert "mood" in run("models").out
    assert "minilm-l6" in run("models", "mood").out
    shown = run("job", job.id).out
    assert "learning_rate=auto" in shown
    assert "succeeded" in shown


@pytest.mark.parametrize("command", [["jobs"], ["datasets"], ["models"], ["models", "mood"]])
def test_lists_for_programs(service: LiveService, run: Run, job: Job, command: list[str]) -> None:
    service.publish(job.id, "mood")
    assert isinstance(json.loads(run(*command, "--json").out), list)


def test_an_alias_is_moved(service: LiveService, run: Run, client: Tunesmith, job: Job) -> None:
    version = service.publish(job.id, "mood")
    assert f"mood@champion is version {version}" in run("alias", "mood", "champion", str(version)).out
    assert client.model("mood").serving_version == version
    assert run("alias", "mood", "champion", "999").status == 4


def test_the_calls_of_an_alias_are_split_watched_and_let_alone(
    service: LiveService, run: Run, client: Tunesmith, dataset: Dataset
) -> None:
    jobs = [client.train("tried", dataset, base_model="minilm-l6", priority=number) for number in range(2)]
    first, second = (service.publish(job.id, "tried") for job in jobs)
    run("alias", "tried", "champion", str(first))
    assert "answered by the version that it names" in run("traffic", "tried", "champion").out
    shown = run("traffic", "tried", "champion", "--canary", f"{second}:10", "--log", "50", "--reason", "a trial").out
    assert f"Version {second} answers 10 % of its calls as a canary." in shown
    assert "50 % of its answers are kept for 30 days, without their texts." in shown
    shown = run("traffic", "tried", "champion", "--shadow", f"{second}:20", "--drift", "100").out
    assert "as a canary" in shown and "20 % of them again as a shadow" in shown and "counted for drift" in shown
    assert client.traffic("tried", "champion").traffic.shadow is not None
    for wrong in (["--canary", "2"], ["--canary", "2:0"], ["--canary", "x:5"], ["--end", "--log", "5"]):
        assert run("traffic", "tried", "champion", *wrong).status == 2
    assert "Nothing of tried@champion was compared." in run("traffic", "report", "tried", "champion").out
    assert "no feedback" in run("live", "tried", str(first)).out
    assert run("feedback", f"pred_{'0' * 32}", "a").status == 4
    run("traffic", "tried", "champion", "--end")
    assert "answered by the version that it names" in run("traffic", "tried", "champion").out


def test_a_version_is_downloaded(
    service: LiveService, run: Run, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    version = service.publish(job.id, "mood")
    run("alias", "mood", "champion", str(version))
    for wanted in ("mood", f"mood:{version}", "mood@champion"):
        ran = run("models", "download", wanted)
        assert (ran.status, ran.err) == (0, "")
        with zipfile.ZipFile(f"mood-v{version}.zip") as archive:
            assert f"mood-v{version}/model.onnx" in archive.namelist()
        Path(f"mood-v{version}.zip").unlink()
    place = tmp_path / "elsewhere.zip"
    told = json.loads(run("models", "download", "mood", "--to", place, "--json").out)
    assert told == {"model": "mood", "version": version, "file": str(place)}
    assert zipfile.is_zipfile(place)
    assert [path.name for path in tmp_path.iterdir() if path.suffix in (".zip", ".part")] == ["elsewhere.zip"]


@pytest.mark.parametrize(
    ("wanted", "status"), [("mood:999", 4), ("mood:x", 2), ("mood@nobody", 2), ("no-such-model", 4)]
)
def test_what_is_not_there_is_not_downloaded(
    service: LiveService, run: Run, job: Job, wanted: str, status: int
) -> None:
    service.publish(job.id, "mood")
    assert run("models", "download", wanted).status == status
    assert run("models", "mood", "other").status == 2


def test_the_log_and_the_files_of_a_job(service: LiveService, run: Run, job: Job, tmp_path: Path) -> None:
    claim = service.claim(job.id)
    service.tell(claim, *training_events([10, 20], total=20))
    service.fail(claim)
    lines = run("logs", job.id).out.splitlines()
    assert "new -> queued" in lines[0]
    assert "ERROR running -> failed: Training diverged." in lines[-1]
    assert run("logs", job.id, "--tail", "1").out.splitlines() == lines[-1:]
    assert "training_history.json" in run("logs", job.id, "--files").out
    assert len(json.loads(run("logs", job.id, "--json").out)) == 3
    ran = run("logs", job.id, "--download", "training.log", "--download", "training_history.json", "--to", tmp_path)
    assert ran.status == 0
    assert (tmp_path / "training.log").read_text().splitlines() == lines
    assert json.loads((tmp_path / "training_history.json").read_text())["job_id"] == job.id
    assert run("logs", job.id, "--download", "../x").status == 2


def test_a_job_file_is_asked_for_and_flags_win_over_it(run: Run, client: Tunesmith, file: Path, tmp_path: Path) -> None:
    config = tmp_path / "job.yaml"
    config.write_text(f"model: filed\nfile: {file}\nbase_model: minilm-l6\ntraining:\n  num_epochs: 3\n  fp16: true\n")
    ran = run("train", "--config", config, "--epochs", "2", "--export", "--no-wait", "--json")
    assert ran.status == 0
    job = client.job(json.loads(ran.out)["id"])
    assert (job.model, job.base_model.id) == ("filed", "minilm-l6")
    assert (job.hyperparameters["num_train_epochs"], job.hyperparameters["precision"]) == (2, "auto")
    assert job.export.formats == ["onnx", "torchscript"]
    assert "training.num_epochs is num_train_epochs" in ran.err


def test_jobs_are_compared(service: LiveService, run: Run, client: Tunesmith, dataset: Dataset) -> None:
    rates = (1e-4, 2e-4)
    jobs = [
        client.train("compared", dataset, base_model="minilm-l6", hyperparameters={"learning_rate": rate})
        for rate in rates
    ]
    for job in jobs:
        service.publish(job.id, "compared")
    ran = run("compare", jobs[0].id, jobs[1].id, "--json")
    found = json.loads(ran.out)
    assert (found["jobs"], found["same_rows"]) == ([job.id for job in jobs], True)
    assert {"name": "learning_rate", "values": [1e-4, 2e-4]} in found["settings"]
    assert "batch_size" not in [line["name"] for line in found["settings"]]
    shown = run("compare", jobs[0].id, jobs[1].id).out
    assert "learning_rate" in shown and "0.0002" in shown
    assert run("compare", jobs[0].id).status == 2
    assert run("compare", jobs[0].id, "job_" + "0" * 32).status == 4


def test_a_version_is_promoted_through_its_gate_and_rolled_back(
    service: LiveService, run: Run, client: Tunesmith, dataset: Dataset
) -> None:
    jobs = [client.train("raised", dataset, base_model="minilm-l6", priority=number) for number in range(2)]
    for job in jobs:
        service.publish(job.id, "raised")
    assert "raised@champion is version 1" in run("promote", "raised", "1").out
    client.set_policy("raised", "champion", {"floors": [{"metric": "accuracy", "at_least": 1.0}]})
    refused = run("promote", "raised")
    assert (refused.status, "metric-floor" in refused.out, "Not moved" in refused.err) == (1, True, True)
    assert json.loads(run("promote", "raised", "2", "--json").out)["allowed"] is False
    assert client.model("raised").serving_version == 1
    assert run("promote", "raised", "--force").status == 2
    assert json.loads(run("promote", "raised", "--force", "--reason", "a test", "--json").out)["version"] == 2
    assert "version 1 again; it was 2" in run("rollback", "raised").out


def test_the_shell_completes_commands_options_and_values(run: Run) -> None:
    def completed(*words: str) -> list[str]:
        return run("completion", "--complete", "--", "--", *words).out.split()

    assert completed("tra") == ["train", "traffic"]
    assert completed("--url", "http://x", "models", "d") == ["diff", "delete"]
    assert completed("train", "--batch-") == ["--batch-size"]
    assert completed("train", "--queue", "") == ["default", "gpu", "cpu"]
    assert completed("no-such-command", "") == []
    assert run("completion").status == 2
    script = run("completion", "bash").out
    program = f'tunesmith() {{ {sys.executable} -m app "$@"; }}'
    asked = f"{script}\n{program}\nCOMP_WORDS=(tunesmith promo); COMP_CWORD=1; _tunesmith"
    ran = subprocess.run(
        ["bash", "-c", f'{asked}; echo "${{COMPREPLY[@]}}"'],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert ran.stdout == "promote\n"


def hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_who_stops_looking_is_told_that_the_job_goes_on(service: LiveService, job: Job) -> None:
    command = [sys.executable, "-m", "app", "--url", service.url, "watch", job.id, "--json"]
    here = Path(__file__).parents[3]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # Shells let what they start in the background ignore Ctrl-C, these tests perhaps, and it would inherit that.
    with subprocess.Popen(command, cwd=here, preexec_fn=hear_ctrl_c, **pipes) as looking:
        try:
            assert looking.stdout is not None and json.loads(looking.stdout.readline())["data"]["to"] == "queued"
            looking.send_signal(signal.SIGINT)
            _, said = looking.communicate(timeout=60)
        finally:
            looking.kill()
    assert looking.returncode == 130
    assert "The job goes on." in said and f"-m app cancel {job.id}" in said


def test_a_pattern_is_told_in_words(run: Run) -> None:
    assert "should be lower-case letters" in run("predict", "No Name", "text").err


def test_cancelling(run: Run, client: Tunesmith, job: Job) -> None:
    ran = run("cancel", job.id)
    assert (ran.status, client.job(job.id).status) == (0, "cancelled")
    assert "cancelled" in ran.out


def test_uploading_shows_what_was_found(run: Run, file: Path) -> None:
    assert "40 rows: 32 train, 4 validation, 4 test" in run("upload", file).out
    assert json.loads(run("upload", file, "--name", "n", "--json").out)["name"] == "n"


def test_predicting_with_nothing_to_predict(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert run("predict", "mood").status == 2
    assert run("predict", "no-such-model", "fine").status == 4


def test_the_report_is_written_in_the_form_asked_for(run: Run, job: Job, tmp_path: Path) -> None:
    assert run("report", job.id).out.startswith(f"# {job.model}: training report")
    assert json.loads(run("report", job.id, "--format", "json").out)["job_id"] == job.id
    file = tmp_path / "report.html"
    ran = run("report", job.id, "--output", str(file))
    assert (ran.status, ran.out) == (0, "")
    assert file.read_text().startswith("<!doctype html>")
    assert run("report", job.id, "--output", str(tmp_path / "no" / "such.md")).status == 2
    assert run("report", "job_0").status == 4


def test_an_import_is_begun_and_listed(run: Run, service: LiveService) -> None:
    ran = run("datasets", "import", "acme/mood", "--text-column", "words")
    assert (ran.status, "hub" in ran.err) == (5, True)  # nothing answers at the hub's address of these tests
    assert run("datasets", "import", "processed:x").status == 4
    assert "No imports yet" in run("datasets", "imports").out

    request = ImportRequest.model_validate({"from": {"source": "hub", "dataset": "acme/mood"}})
    import_id = service.do(imports.submit, request).id
    assert import_id in run("datasets", "imports").out
    assert json.loads(run("datasets", "imports", "--json").out)[0]["from"]["dataset"] == "acme/mood"
    claim = service.do(imports.claim_next, owner="w", lease_seconds=60)
    service.do(imports.fail, claim, {"code": "c", "detail": "It broke.", "remedy": "Mend it."})
    assert "It broke." in run("datasets", "imports").out


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("twitter", {"source": "twitter"}),
        ("processed:a/b", {"source": "processed", "path": "a/b"}),
        ("imdb", {"source": "hub", "dataset": "imdb"}),
    ],
)
def test_a_source_in_a_word(text: str, source: dict[str, str]) -> None:
    assert source_of(text) == source


def test_a_batch_is_sent_followed_and_fetched(service: LiveService, run: Run, file: Path, tmp_path: Path) -> None:
    assert run("batches").out.startswith("No batch predictions yet")
    refused = run("batch-predict", file, "--model", "batched")
    assert (refused.status, "no model batched" in refused.err) == (4, True)
    assert run("batch-predict", tmp_path / "none.csv", "--model", "batched").status == 2
    with Tunesmith(service.url) as client:
        dataset = client.upload_dataset(file)
        service.publish(client.train("batched", dataset, base_model="minilm-l6").id, "batched")

    def work() -> None:
        while (claim := service.do(batches.claim_next, owner="wrk_1", lease_seconds=60)) is None:
            pass
        service.do(batches.fail, claim, {"detail": "The disk is full.", "remedy": "Free some space."})

    worker = threading.Thread(target=work)
    worker.start()
    ran = run("batch-predict", dataset.id, "--model", "batched", "--out", tmp_path / "answers.csv")
    worker.join()
    assert ran.status == 1
    assert "The disk is full." in ran.err and "Free some space." in ran.err
    assert not (tmp_path / "answers.csv").exists()
    assert "batched:1" in run("batches").out


def test_a_version_is_judged_on_a_dataset_and_the_scores_are_told(
    service: LiveService, run: Run, dataset: Dataset, tmp_path: Path
) -> None:
    with Tunesmith(service.url) as client:
        service.publish(client.train("judged", dataset, base_model="minilm-l6").id, "judged")
    interval = Interval(low=0.25, high=1.0)
    matrix = confusion_matrix(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), 2)
    found = Judgement(
        scores=TaskEvaluation.model_validate(
            score(matrix, ["a", "b"], split="test", loss=0.5).model_dump(exclude={"tasks"})
        ),
        intervals=ScoreIntervals(resamples=1000, accuracy=interval, f1_macro=interval),
        slices=[
            PartScores(
                slice="source=web",
                rows=3,
                accuracy=0.667,
                accuracy_interval=interval,
                f1_macro=0.4,
                f1_macro_interval=interval,
            )
        ],
        refused=2,
    )

    def work() -> None:
        while (claim := service.do(batches.claim_next, owner="wrk_1", lease_seconds=60)) is None:
            pass
        chunk = {"batch_id": claim.id, "number": 0, "attempt": 1, "bytes": 1, "sha256": "", "artifact_key": "k"}
        service.do(batches.commit_chunk, claim, tables.BatchChunk(rows=4, **chunk), rows_per_second=1.0)
        assert service.do(batches.succeed, claim, found.model_dump(mode="json"))

    worker = threading.Thread(target=work)
    worker.start()
    ran = run("evaluate", "judged", dataset.id)
    worker.join()
    assert ran.status == 0, ran.err
    assert "judged:1" in ran.out and "4 rows, split test" in ran.out
    assert "accuracy 0.750 (95 %: 0.250 to 1.000)" in ran.out
    assert "2 rows are too long" in ran.out
    assert re.search(r"source=web +0\.667 +0\.400 +3", ran.out)
    assert run("evaluate", "judged@nobody", dataset.id).status == 2
    assert run("evaluate", "judged", tmp_path / "none.csv").status == 2
    assert run("evaluate", "judged", dataset.id, "--split", "dev").status == 2
    assert run("evaluate", "judged:7", dataset.id).status == 4
    assert run("evaluate", "judged", dataset.id, "--slice-column", "source").status == 2


def test_promotion_from_the_command_line(
    service: LiveService, client: Tunesmith, dataset: Dataset, run: Run, tmp_path: Path
) -> None:
    for _ in range(3):
        service.publish(client.train("gated", dataset, base_model="minilm-l6").id, "gated")
    file = tmp_path / "policy.json"
    file.write_text('{"floors": [{"metric": "accuracy", "at_least": 0.99}]}')
    run("alias", "gated", "champion", "1")
    assert run("alias", "policy", "gated", "champion").status == 4
    assert json.loads(run("alias", "policy", "gated", "champion", "--set", file).out)["revision"] > 0
    asked = run("alias", "check", "gated", "champion", "2")
    assert (asked.status, "Version 2 of gated may not take champion" in asked.out) == (1, True)
    assert "metric-floor" in asked.out
    refused = run("alias", "gated", "champion", "2")
    assert (refused.status, "promotion-blocked" in refused.err) == (4, True)
    assert "accuracy on the test rows is 0.75, less than 0.99" in " ".join(refused.err.split())
    assert run("alias", "gated", "champion", "2", "--force").status == 2
    assert run("alias", "gated", "champion", "2", "--force", "--reason", "urgent").status == 0
    assert "gated@champion is version 1 again; it was 2" in run("alias", "rollback", "gated", "champion").out
    assert run("alias", "rollback", "gated", "champion").status == 4
    told = run("alias", "history", "gated", "champion").out
    assert all(word in told for word in ("rollback", "move, forced", "urgent", "anonymous"))
    assert [move["kind"] for move in json.loads(run("alias", "history", "gated", "champion", "--json").out)] == [
        "rollback",
        "move",
        "move",
    ]
    assert run("alias", "policy", "gated", "champion", "--remove").status == 0
    assert run("alias", "check", "gated", "champion", "3").status == 0


def test_versions_are_compared_and_deleted_from_the_command_line(
    service: LiveService, client: Tunesmith, dataset: Dataset, run: Run
) -> None:
    for _ in range(4):
        service.publish(client.train("many", dataset, base_model="minilm-l6").id, "many")
    shown = run("models", "diff", "many", "1", "2").out
    assert "test/f1_macro" in shown
    assert "Not compared row by row: version 2 keeps no answers to test rows." in " ".join(shown.split())
    assert json.loads(run("models", "diff", "many", "1", "2", "--json").out)["to_version"] == 2
    run("alias", "many", "champion", "1")
    assert run("models", "delete", "many", "1").status == 4
    assert "Version 2 of many is deleted." in run("models", "delete", "many", "2").out
    asked = run("models", "prune", "many", "--keep-last", "1", "--dry-run").out
    assert "Would delete 1 versions" in asked and "the alias champion names it" in asked
    assert len(json.loads(run("models", "prune", "many", "--keep-last", "1", "--json").out)["deleted"]) == 1
    assert [version.version for version in client.versions("many")] == [4, 1]


def test_garbage_is_collected(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNESMITH_DATA_DIR", str(tmp_path / "data"))
    assert run("migrate").status == 0
    stray = tmp_path / "data" / "artifacts" / "models" / f"job_{'0' * 32}" / "1" / "model.onnx"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"12345")
    [found] = json.loads(run("gc", "--dry-run", "--json").out)
    assert (found["kind"], found["bytes"]) == ("bundle", 5)
    assert stray.exists()
    assert "Removed 1 things" in run("gc").out
    assert not stray.exists()
    assert "Removed 0 things" in run("gc").out

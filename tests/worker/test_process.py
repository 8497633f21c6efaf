"""Training processes as their parent sees them, with real ones."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.schemas.jobs import BaseModelRef, DatasetRef, TrainJobRequest
from tests.processes import is_alive, until
from worker.events import AttemptSpec, parse_event
from worker.process import Spawner, child_environment, reaching_out

TOY = Path(__file__).parent / "toy"
SECRETS = {
    "TUNESMITH_API_KEY": "tsk_secret",
    "TUNESMITH_DATABASE_URL": "postgresql://u:secret@db/x",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "HF_TOKEN": "hf_secret",
    "PGPASSWORD": "secret",
}


@pytest.fixture
def spawner():
    spawner = Spawner()
    yield spawner
    spawner.close()


@pytest.fixture
def start(spawner, tmp_path):
    """Start a toy child; every one is buried at the end."""
    started = []

    def start(*options):
        folder = tmp_path / f"child-{len(started)}"
        (folder / "tmp").mkdir(parents=True)
        environment = child_environment({**os.environ, **SECRETS, "PYTHONPATH": str(TOY)}, folder)
        arguments = ["-m", "worker.child", "--pipeline", "toy_pipeline:run", *options]
        started.append(spawner.start(arguments, folder=folder, environment=environment))
        return started[-1]

    yield start
    for process in started:
        process.bury()


@pytest.fixture
def spec(tmp_path):
    def spec(toy="train", labels=("negative", "positive"), **metadata):
        rows = tmp_path / "rows.jsonl"
        rows.write_text('{"text": "a", "label": "negative", "split": "train"}\n')
        return AttemptSpec(
            job_id="job_1",
            attempt=1,
            model_name="toy",
            work_dir=tmp_path,
            dataset_file=rows,
            dataset=DatasetRef(id="ds_1", sha256="0" * 64, counts={"train": 1}),
            labels=list(labels),
            base_model=BaseModelRef(id="tiny", source="folder"),
            base_model_dir=tmp_path,
            request=TrainJobRequest(
                model="toy", dataset_id="ds_1", base_model="tiny", metadata={"toy": toy, **metadata}
            ),
            bundle_dir=tmp_path / "bundle",
        )

    return spec


def heard(process, seconds=20.0):
    """Hear a process to its end: its events and its exit code."""
    lines, deadline = [], time.monotonic() + seconds
    while not process.exited():
        assert time.monotonic() < deadline, process.log_file.read_text()
        lines += process.lines(0.1)
    lines += process.rest()
    return [parse_event(line) for line in lines], process.bury()


@pytest.mark.parametrize(
    ("toy", "exit_code", "code"),
    [
        ("train", 0, None),
        ("refuse", 64, "too-few-examples"),
        ("diverge", 65, "training-diverged"),
        ("gpu-memory", 66, "gpu-out-of-memory"),
        ("memory", 66, "out-of-memory"),
        ("full", 64, "storage-full"),
        ("bug", 70, "training-crashed"),
        ("segfault", -signal.SIGSEGV, None),
    ],
)
def test_every_end_of_a_child_has_its_exit_code_and_reason(start, spec, toy, exit_code, code):
    process = start()
    process.feed(spec(toy))
    events, left = heard(process)
    errors = [event.error for event in events if event.type == "failed"]
    assert left == exit_code
    assert [error["code"] for error in errors] == ([code] if code else [])
    assert all(error["phase"] == "training" for error in errors)


def test_a_fault_names_its_place_and_quotes_nothing(start, spec):
    process = start()
    process.feed(spec("bug"))
    events, _ = heard(process)
    error = events[-1].error
    assert "KeyError" in error["detail"]
    assert "toy_pipeline.py" in error["detail"]
    assert "a text of the dataset" not in json.dumps(error)


def test_the_environment_holds_no_secret_and_no_way_to_the_hub(start, spec, tmp_path):
    report = tmp_path / "report.json"
    process = start()
    process.feed(spec(report=str(report)))
    heard(process)
    environment = json.loads(report.read_text())["environment"]
    assert not SECRETS.keys() & environment.keys()
    assert "secret" not in json.dumps(environment)
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["TOKENIZERS_PARALLELISM"] == "false"
    assert environment["TMPDIR"].startswith(str(process.folder))


def test_a_spec_larger_than_a_pipe_arrives(start, spec):
    process = start()
    process.feed(spec(labels=[f"{number:0200d}" for number in range(1000)]))
    events, exit_code = heard(process)
    assert exit_code == 0
    assert events[-1].type == "bundle"


def test_sigterm_only_asks(start, spec):
    process = start()
    process.feed(spec("slow"))
    assert process.lines(10.0)
    process.terminate()
    assert heard(process)[1] == 75


def test_a_child_without_work_leaves_when_its_parent_closes_stdin(start):
    process = start("--warm")
    process._popen.stdin.close()
    assert heard(process)[1] == 0


def test_helpers_of_a_child_die_with_it(start, spec, tmp_path):
    file = tmp_path / "helper.pid"
    process = start()
    process.feed(spec("helper", helper=str(file)))
    _, exit_code = heard(process)  # although the helper still holds the pipe
    assert exit_code == 0
    helper = int(file.read_text())
    until(lambda: not is_alive(helper))


SCHEMA = """
from app.schemas.jobs import TrainJobRequest
print(TrainJobRequest.__pydantic_complete__, TrainJobRequest.model_fields["baselines"].description)
TrainJobRequest(model="m", dataset_id="ds_1", surprise=1)
"""


def test_schemas_are_built_when_they_are_used_and_are_as_strict(tmp_path):
    environment = child_environment(os.environ, tmp_path)
    done = subprocess.run([sys.executable, "-c", SCHEMA], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "None"], done.stderr
    assert "surprise\n  Extra inputs are not permitted" in done.stderr


def test_a_broken_pipeline_leaves_a_trace_in_the_log(spawner, tmp_path):
    folder = tmp_path / "broken"
    (folder / "tmp").mkdir(parents=True)
    environment = child_environment(os.environ, folder)
    arguments = ["-m", "worker.child", "--warm", "--pipeline", "no_such_module:run"]
    process = spawner.start(arguments, folder=folder, environment=environment)
    assert heard(process)[1] == 70
    assert "no_such_module" in process.log_file.read_text()


PARENT = """
import sys, time
from pathlib import Path
from worker.process import Spawner, child_environment
import os
folder = Path(sys.argv[1])
(folder / "tmp").mkdir(parents=True)
environment = child_environment(os.environ, folder)
arguments = ["-m", "worker.child", "--warm", "--pipeline", "toy_pipeline:run"]
spawner = Spawner()  # kept: a child dies with the thread that made it, and that ends with its spawner
process = spawner.start(arguments, folder=folder, environment=environment)
print(process.pid, flush=True)
time.sleep(3600)
"""


def test_a_child_dies_with_a_parent_that_is_killed(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(TOY)])}
    arguments = [sys.executable, "-c", PARENT, str(tmp_path / "child")]
    parent = subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment)
    with parent:
        try:
            child = int(parent.stdout.readline())
            time.sleep(0.5)  # long enough to have told the kernel
            assert is_alive(child)
        finally:
            parent.kill()
    until(lambda: not is_alive(child))


def test_a_download_gets_the_way_to_the_hub_and_no_other_secret():
    way = {
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "localhost",
        "SSL_CERT_FILE": "/etc/ours.pem",
        "REQUESTS_CA_BUNDLE": "/etc/ours.pem",
        "HF_HOME": "/cache",
        "HF_TOKEN": "hf_secret",
        "PATH": "/bin",
    }
    assert reaching_out(SECRETS | {"WANDB_API_KEY": "secret", "GITHUB_TOKEN": "secret"} | way) == way


CONCEALED = """
import ctypes
from worker import __main__ as program
from app.errors import InternalError

def refuse():
    raise InternalError("no", "no")

program.check_versions = refuse
assert program.main([]) == 1
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_a_worker_does_not_show_its_environment_to_its_children(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "TUNESMITH_DATA_DIR": str(tmp_path)}
    answer = subprocess.run([sys.executable, "-c", CONCEALED], capture_output=True, text=True, env=environment)
    assert answer.stdout.splitlines()[-1] == "0", answer.stderr

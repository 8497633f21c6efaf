"""``python -m app quickstart``: a first model from the sample data, three predictions, and how to do it with curl."""

import json
import os
import signal
from pathlib import Path
from textwrap import indent
from types import FrameType
from typing import NoReturn

import typer
from rich.markup import escape

from app.cli.connection import connect
from app.cli.console import ago, output
from app.cli.datasets import tell_dataset
from app.cli.following import follow, tell_result
from app.cli.predict import predictions_table
from app.cli.program import program
from app.client import ApiError, Tunesmith
from app.schemas.jobs import PACKAGED_BASE_MODEL, TERMINAL, Job
from app.schemas.models import VersionSummary

MODEL = "customer-messages"
SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "data" / "customer_messages.csv"
SENTENCES = (
    "My order came two weeks late and half of it was broken.",
    "Is there a vegetarian dish on the lunch menu?",
    "You solved my problem in five minutes, thank you so much!",
)


def quickstart(context: typer.Context) -> int:
    """Train a first model on the sample data and ask it.

    What is there already is used: a version of the model is asked at once, a job that still runs is followed.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    with connect(context) as service:
        version = _newest(service)
        if version is None:
            job = follow(service, (_unfinished(service) or _submit(service)).id)
            tell_result(service, job)
            if job.status != "succeeded":
                return 1
            version = service.versions(MODEL)[0]
        else:
            output.print(
                f"[bold]{MODEL}[/] version {version.version} is here already, trained {ago(version.created_at)}. "
                f"Train another with:\n  {program()} train {_shown(SAMPLE)} \\\n"
                f"    --model {MODEL} --base-model {PACKAGED_BASE_MODEL}"
            )
        _predict(service, version)
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C would, so that the terminal is left as it was."""
    raise typer.Exit(130)


def _newest(service: Tunesmith) -> VersionSummary | None:
    try:
        return service.versions(MODEL)[0]
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def _unfinished(service: Tunesmith) -> Job | None:
    """Find the job that an earlier quick start has left behind."""
    found = next((job for job in service.jobs(model=MODEL, limit=10) if job.status not in TERMINAL), None)
    if found is not None:
        output.print(f"\nGoing on with {found.id} of an earlier start\n")
    return found


def _submit(service: Tunesmith) -> Job:
    output.print(f"\nUploading {_shown(SAMPLE)}")
    dataset = service.upload_dataset(SAMPLE, name=MODEL)
    tell_dataset(dataset)
    job = service.train(MODEL, dataset, base_model=PACKAGED_BASE_MODEL)
    output.print(f"Training [bold]{MODEL}[/] from {PACKAGED_BASE_MODEL}, a small pretrained encoder\n  {job.id}\n")
    return job


def _predict(service: Tunesmith, version: VersionSummary) -> None:
    answer = service.predict(MODEL, SENTENCES)
    output.print(f"\nWhat version {answer.version} says of three sentences it has not seen:")
    output.print(predictions_table(SENTENCES, answer.predictions))
    dataset_id = service.job(version.job_id).dataset.id
    _tell_how(service, dataset_id, version.job_id)


def _tell_how(service: Tunesmith, dataset_id: str, job_id: str) -> None:
    output.print("\nThe same with curl: upload, train, follow, predict")
    if service.has_key and not os.environ.get("TUNESMITH_API_KEY"):
        output.print("  (first: export TUNESMITH_API_KEY=..., the key of this service)", style="dim")
    for command in curl_commands(service.url, dataset_id, job_id, with_key=service.has_key):
        output.print(f"\n{indent(escape(command), '  ')}", style="cyan")
    output.print("\nYour own data, a file with the columns text and label:")
    output.print(f"\n  {program()} train FILE --model NAME --base-model {PACKAGED_BASE_MODEL}\n", style="cyan")
    output.print(f"Every call with examples: {service.url}/docs")


def curl_commands(url: str, dataset_id: str, job_id: str, *, with_key: bool) -> list[str]:
    """Give the commands that do what the quick start did, ready to be copied, in lines of 78 characters at most."""
    key = ' -H "Authorization: Bearer $TUNESMITH_API_KEY" \\\n   ' if with_key else ""
    body = "-H 'Content-Type: application/json' -d '"
    training = {"model": MODEL, "dataset_id": dataset_id, "base_model": PACKAGED_BASE_MODEL}
    question = {"model": MODEL, "inputs": SENTENCES[0]}
    return [
        f"curl{key} {url}/datasets \\\n    -F file=@{_shown(SAMPLE)}",
        f"curl{key} {url}/jobs \\\n    {body}{_laid_out(training)}'",
        f"curl{key} -N -H 'Accept: text/event-stream' \\\n    {url}/jobs/{job_id}/events",
        f"curl{key} {url}/predict \\\n    {body}{_laid_out(question)}'",
    ]


def _laid_out(body: dict[str, str]) -> str:
    return indent(json.dumps(body, indent=2), "    ").lstrip()


def _shown(path: Path) -> str:
    """Write a path as short as it can be copied from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)

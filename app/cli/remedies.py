"""What to do after a refusal, as commands of this program: the service speaks of calls of its API."""

from app.cli.program import program
from app.transport import ApiError

_COMMANDS = {
    "alias-not-found": "models NAME shows the aliases of a model",
    "batch-not-found": "batches lists the batch predictions",
    "dataset-not-found": "datasets lists the datasets, upload FILE stores one",
    "import-not-found": "datasets imports lists the imports",
    "job-not-found": "jobs lists the jobs",
    "model-not-found": "models lists the models, train FILE --model NAME makes one",
    "version-not-found": "models NAME lists the versions of a model",
}
_CALLS = ("GET /", "POST /", "PUT /", "DELETE /")


def remedy_of(error: ApiError) -> str | None:
    """Give what the service advises, in commands where it names calls and there is a command for it."""
    command = _COMMANDS.get(error.code)
    calls = error.remedy is not None and any(call in error.remedy for call in _CALLS)
    return f"{program()} {command}." if calls and command is not None else error.remedy

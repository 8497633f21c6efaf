"""The command line: which commands there are and where each lives.

A command is imported when it runs, so that ``--help`` and ``up`` do not wait for what they do not use.
"""

import importlib
from typing import Annotated, NamedTuple

import typer

SERVICE, TRAINING, MODELS = "Service", "Training", "Data and models"


class Command(NamedTuple):
    """Where a command is: a module of app.cli and a function in it; its panel and its line in the list."""

    module: str
    function: str
    panel: str
    help: str


class Place(NamedTuple):
    """Which service a command speaks to; what is None is read from the settings."""

    url: str | None
    api_key: str | None


COMMANDS = {
    "up": Command("up", "up", SERVICE, "Start everything on this machine, keep it running, and stop it in order."),
    "api": Command("api", "api", SERVICE, "Run the HTTP API alone."),
    "migrate": Command("migrate", "migrate", SERVICE, "Bring the database to the schema of this version."),
    "gc": Command("gc", "gc", SERVICE, "Remove files that nothing refers to any more."),
    "keys": Command("keys", "keys", SERVICE, "List the API keys, newest first; keys create makes one."),
    "keys list": Command("keys", "keys", SERVICE, "The same."),
    "keys create": Command("keys", "create", SERVICE, "Make an API key with a name and scopes, and print it once."),
    "keys revoke": Command("keys", "revoke", SERVICE, "Take an API key back."),
    "quickstart": Command("quickstart", "quickstart", SERVICE, "Train a first model on the sample data and ask it."),
    "completion": Command("completion", "completion", SERVICE, "Print a script that completes commands on Tab."),
    "train": Command("train", "train", TRAINING, "Upload a dataset, train a model on it, and watch."),
    "watch": Command("watch", "watch", TRAINING, "Follow a job until it ends."),
    "jobs": Command("jobs", "jobs", TRAINING, "List jobs, newest first."),
    "job": Command("jobs", "job", TRAINING, "Show one job."),
    "report": Command("report", "report", TRAINING, "Write the report of a job: Markdown, HTML or JSON."),
    "compare": Command("compare", "compare", TRAINING, "Put jobs side by side: settings, data, scores."),
    "logs": Command("logs", "logs", TRAINING, "Print the log of a job, or download its files."),
    "stop": Command("jobs", "stop", TRAINING, "End a job's training and keep its best checkpoint."),
    "cancel": Command("jobs", "cancel", TRAINING, "Ask a job to end."),
    "datasets": Command("datasets", "datasets", MODELS, "List datasets, newest first; datasets import fetches one."),
    "datasets import": Command("imports", "import_dataset", MODELS, "Have a worker fetch a dataset from the hub."),
    "datasets imports": Command("imports", "list_imports", MODELS, "List the imports."),
    "upload": Command("datasets", "upload", MODELS, "Upload a dataset and show what was found in it."),
    "models": Command("models", "models", MODELS, "List the models, or the versions of one; download a version."),
    "models diff": Command("versions", "diff", MODELS, "Put two versions of a model side by side."),
    "models delete": Command("versions", "delete", MODELS, "Delete a version that nothing needs."),
    "models prune": Command("versions", "prune", MODELS, "Delete all but the newest versions."),
    "promote": Command("promote", "promote", MODELS, "Let a version serve, if its alias's policy allows it."),
    "rollback": Command("promote", "rollback", MODELS, "Let the version serve that did before."),
    "alias": Command("models", "alias", MODELS, "Point an alias at a version; champion is what a plain name means."),
    "alias check": Command("promotion", "check", MODELS, "Ask whether an alias may be moved."),
    "alias policy": Command("promotion", "policy", MODELS, "Show or set what a version must keep for an alias."),
    "alias history": Command("promotion", "history", MODELS, "Show who moved an alias, when and why."),
    "alias rollback": Command("promotion", "rollback", MODELS, "Point an alias at the version it named before."),
    "traffic": Command("traffic", "traffic", MODELS, "Show or set how the calls of an alias are split."),
    "traffic report": Command("traffic", "report", MODELS, "Compare a shadow with what answers."),
    "live": Command("live", "live", MODELS, "Show how a version does on real calls: accuracy and drift."),
    "feedback": Command("live", "feedback", MODELS, "Say what the right label of a logged answer was."),
    "predict": Command("predict", "predict", MODELS, "Classify texts with a model."),
    "batch-predict": Command("batches", "batch_predict", MODELS, "Have a worker classify a file; fetch the answers."),
    "evaluate": Command("evaluate", "evaluate", MODELS, "Judge a version on labelled rows."),
    "batches": Command("batches", "batches", MODELS, "List batch predictions, newest first."),
}
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
_EPILOG = (
    "Exit status: 0 done; 1 the job failed or was cancelled; 2 wrong usage; 3 the service does not answer; "
    "4 it refused the request; 5 it failed; 130 interrupted."
)

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False, epilog=_EPILOG
)


@app.callback()
def connection(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(envvar="TUNESMITH_URL", help="Address of the service.", show_default=False)
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="TUNESMITH_API_KEY", help="One of its API keys.", show_default=False)
    ] = None,
) -> None:
    """Train text classifiers, keep what they learned, serve it."""
    context.obj = Place(url, api_key)


def main(arguments: list[str] | None = None) -> None:
    """Run the command that ``arguments`` (else sys.argv) name, and exit with its status."""
    app(arguments, prog_name="python -m app")


def command_of(words: list[str]) -> tuple[str, list[str]]:
    """Tell the command from its arguments; some have two words: ``datasets import``."""
    two = " ".join(words[:2])
    return (two, words[2:]) if two in COMMANDS else (words[0], words[1:])


def _register(name: str) -> None:
    entry = COMMANDS[name]

    def pass_on(context: typer.Context) -> None:
        run = importlib.import_module("app.cli.run").run
        chosen, arguments = command_of([name, *context.args])
        entry = COMMANDS[chosen]
        raise typer.Exit(run(chosen, entry.module, entry.function, arguments, context.obj))

    register = app.command(
        name, help=entry.help, rich_help_panel=entry.panel, add_help_option=False, context_settings=_PASS_ON
    )
    register(pass_on)


for _name in COMMANDS:
    if " " not in _name:  # those with two words are found by their first
        _register(_name)

"""Write the pages of docs/reference from the code they describe.

    python scripts/generate_reference.py [--check]

With --check nothing is written: the exit status is 1 when a page is not what it would be.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.cli.flags import SHORT, kind_of  # noqa: E402  # only now is it known where app is
from app.cli.main import COMMANDS  # noqa: E402
from app.cli.run import Outcome, parser_of  # noqa: E402
from app.errors import JobFailure  # noqa: E402
from app.schemas.families import FamilyOptions  # noqa: E402
from app.schemas.hyperparameters import Hyperparameters  # noqa: E402
from app.schemas.profiles import PROFILES  # noqa: E402
from app.settings import Settings  # noqa: E402
from scripts.client_page import client_page  # noqa: E402
from scripts.problem_codes import known_codes  # noqa: E402

FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Written by scripts/generate_reference.py from {source}: change that, then run the script. -->"
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_OUTCOMES = {
    Outcome.DONE: "done",
    Outcome.JOB_NOT_SUCCEEDED: "the job failed or was cancelled; `up`: a part of the service would not start",
    Outcome.USAGE: "wrong usage: an unknown option, a missing file, a value out of range",
    Outcome.UNREACHABLE: "the service does not answer",
    Outcome.REFUSED: "the service refused the request; the reason and a remedy are on stderr",
    Outcome.SERVICE_FAILED: "the service failed, or could not be started",
    Outcome.INTERRUPTED: "interrupted by Ctrl-C; a job that was watched goes on",
}

_HYPERPARAMETERS = """\
The fields of `hyperparameters` in `POST /jobs`. Each is a flag of `python -m app train` too: `learning_rate` is
`--learning-rate`. All are optional. A field that is not in this table is refused, with the nearest name.

`auto` is decided when the job has looked at its data; the job then shows the value under `hyperparameters` and the
reason under `resolutions`."""
_PROFILES = """\
`profile` in `POST /jobs`, or `--profile` of `python -m app train`, gives a job the defaults below in one word. Whatever
else the request gives wins over them, field by field. The job shows the whole of what runs under `hyperparameters`, and
under `resolutions` what came from the profile. An empty cell leaves a field to the defaults of every job.

Numbers of steps suit the datasets that a profile was made for. Where the run is too short for them, because it has
fewer than twice as many steps, `warmup_ratio` 0.1 takes the place of `warmup_steps`, and an evaluation after each epoch
that of `eval_steps`; `save_steps` gives way to the default of every job, and so does `logging_steps` where there would
be fewer than ten points. The job then has the warning `profile-adapted`, which names each of them."""
_PROBLEMS = """\
Every error answer is `application/problem+json` (RFC 9457): `status` and `title` say what kind it is, `code` which one,
`detail` what is wrong with this request, `remedy` what to do about it, `errors` every broken rule with a JSON pointer
and the allowed values. Programs go by `code`: it stays the same. `retryable` says whether the same request may succeed
later, after `Retry-After` seconds. `request_id` is in the log of the service too.

`type` is `/problems/` and the code: on a running service it leads to the part of `/docs` that shows the problem.

`…` stands for what is filled in."""
_SETTINGS = """\
Environment variables, or lines of a file `.env` in the folder where the service is started. One machine needs none
of them. Lists and mappings are written as JSON. What is not a setting is ignored."""
_CLIENT = """\
A small client of the HTTP API, typed and synchronous. It needs `httpx`, `pydantic` and `rich`, and nothing of the
service. What is busy or broken for a moment is asked again, and a job is not made twice by that."""
_COMMAND_LINE = """\
`python -m app COMMAND`. All but `up`, `api` and `migrate` are clients of the HTTP API and do nothing that it cannot.
Those that read take `--json`. Where the service is and its key come from `--url` and `--api-key`, written before the
command, else from `TUNESMITH_URL` and `TUNESMITH_API_KEY`, else from the settings of this machine.

A command ends with one of these:"""


def main() -> None:
    pages = {
        "hyperparameters.md": hyperparameters_page(),
        "profiles.md": profiles_page(),
        "settings.md": settings_page(),
        "command-line.md": command_line_page(),
        "client.md": _page("Python client", "app/client", _CLIENT, client_page()),
        "problems.md": problems_page(),
    }
    outdated = [name for name, text in pages.items() if read(FOLDER / name) != text]
    if "--check" in sys.argv[1:]:
        sys.exit(f"not current: {', '.join(outdated)}; run python scripts/generate_reference.py" if outdated else 0)
    for name in outdated:
        (FOLDER / name).write_text(pages[name], encoding="utf-8")
        print(f"wrote docs/reference/{name}")


def hyperparameters_page() -> str:
    """Write a table of the fields of ``hyperparameters``."""
    schema = Hyperparameters.model_json_schema()
    rows = [
        (
            f"`{name}`" + (f"<br>flag also `{SHORT[name]}`" if name in SHORT else ""),
            _values(field),
            f"`{json.dumps(field.get('default'))}`",
            _words(field),
        )
        for name, field in schema["properties"].items()
    ]
    table = _table(("field", "values", "default", "what it does"), rows)
    parts = [_options_of(name, field, schema) for name, field in schema["properties"].items()]
    return _page(
        "Hyperparameters",
        "app/schemas/hyperparameters.py",
        _HYPERPARAMETERS,
        "\n\n".join([table, *filter(None, parts)]),
    )


def _options_of(name: str, field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Write the options of a field that is an object of its own; nothing for any other."""
    references = [option["$ref"] for option in field.get("anyOf", [field]) if "$ref" in option]
    if not references:
        return ""
    options = schema["$defs"][references[0].rsplit("/", 1)[1]]
    rows = [
        (f"`{option}`", _values(value), f"`{json.dumps(value.get('default'))}`", _words(value))
        for option, value in options["properties"].items()
    ]
    return f"## `{name}`\n{_words(options)}\n\n{_table(('option', 'values', 'default', 'what it does'), rows)}"


def profiles_page() -> str:
    """Write a table of what each profile gives."""
    defaults = [{f"text.{k}": v for k, v in one.text.items()} | dict(one.hyperparameters) for one in PROFILES.values()]
    names = list(dict.fromkeys(name for given in defaults for name in given))
    head = ("field", *(f"`{name}`" for name in PROFILES))
    rows = [("`base_model`", *(f"`{profile.base_model}`" for profile in PROFILES.values()))]
    rows.append(("`family`", *(_family(profile.family) for profile in PROFILES.values())))
    rows += [
        (f"`{name}`", *(f"`{json.dumps(each[name])}`" if name in each else "" for each in defaults)) for name in names
    ]
    summaries = "\n".join(f"- `{name}`: {profile.summary}" for name, profile in PROFILES.items())
    notes = "\n".join(f"- `{name}`: {note}" for name, profile in PROFILES.items() for note in profile.notes)
    body = f"{summaries}\n\n{_table(head, rows)}\n\n## Where they depart from their recipes\n{notes}"
    return _page("Profiles", "app/schemas/profiles.py", _PROFILES, body)


def _family(options: FamilyOptions | None) -> str:
    if options is None:
        return ""
    return f"`{json.dumps({'type': options.type} | options.model_dump(exclude_unset=True))}`"


def settings_page() -> str:
    """Write a table of the settings."""
    rows = []
    schema = Settings.model_json_schema()["properties"]
    for name, field in Settings.model_fields.items():
        given = TypeAdapter(Any).dump_python(field.get_default(call_default_factory=True), mode="json")
        default = "" if given in ("", None, {}) else f"`{given if isinstance(given, str) else json.dumps(given)}`"
        rows.append((f"`TUNESMITH_{name.upper()}`", default, _words(schema[name])))
    return _page(
        "Settings",
        "app/settings.py",
        _SETTINGS,
        _table(("variable", "default", "what it is"), rows),
    )


def command_line_page() -> str:
    """Write what ``--help`` says of every command."""
    parts = [
        "| status | meaning |\n|---|---|\n" + "".join(f"| {int(o)} | {text} |\n" for o, text in _OUTCOMES.items()),
    ]
    for name, entry in COMMANDS.items():
        command = typer.main.get_command(parser_of(entry.module, entry.function))
        context = typer.Context(command, info_name=f"python -m app {name}", terminal_width=100)
        parts.append(f"## {name}\n```text\n{command.get_help(context).rstrip()}\n```")
    return _page(
        "Command line",
        "app/cli",
        _COMMAND_LINE,
        "\n\n".join(parts),
    )


def problems_page() -> str:
    """Write a table of the problems of the API, and one of what ends a job."""
    known = known_codes()
    over_http = [
        (f"`{one.code}`", str(one.kind.status), one.detail, one.remedy) for one in known if one.kind is not JobFailure
    ]
    of_jobs = [(f"`{one.code}`", one.detail, one.remedy) for one in known if one.kind is JobFailure]
    body = "\n\n".join(
        (
            _table(("code", "status", "what it says", "what to do"), over_http),
            "## Why a job failed\nThe `error` of a job whose status is `failed`, or of an import.",
            _table(("code", "what it says", "what to do"), of_jobs),
        )
    )
    return _page("Problems", "app and worker", _PROBLEMS, body)


def read(path: Path) -> str:
    """Read a page; a missing one is empty."""
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _page(title: str, source: str, introduction: str, body: str) -> str:
    return f"# {title}\n{NOTE.format(source=source)}\n\n{introduction}\n\n{body.rstrip()}\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _words(field: Mapping[str, Any]) -> str:
    return " ".join(str(field.get("description", "")).split())


def _values(field: Mapping[str, Any]) -> str:
    """Say what a field may be: its kinds, each with its bounds."""
    options = field.get("anyOf", [field])
    return " or ".join(f"`{kind_of(option)}`{_bounds(option)}" for option in options)


def _bounds(option: Mapping[str, Any]) -> str:
    bounds = [f"{sign} {json.dumps(option[name])}" for name, sign in _BOUNDS.items() if name in option]
    return f" {', '.join(bounds)}" if bounds else ""


if __name__ == "__main__":
    main()

"""The page of the Python client, from the docstrings and the signatures of its methods."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from app.client import TrainingJob, Tunesmith
from app.client.aliases import AliasCalls
from app.client.batches import BatchCalls
from app.client.datasets import DatasetCalls
from app.client.jobs import JobCalls
from app.client.keys import KeyCalls
from app.client.models import ModelCalls
from app.client.predictions import PredictionCalls

NOUNS = {
    "Datasets": DatasetCalls,
    "Jobs": JobCalls,
    "A job": TrainingJob,
    "Models and versions": ModelCalls,
    "Aliases": AliasCalls,
    "Predictions": PredictionCalls,
    "Many texts": BatchCalls,
    "API keys": KeyCalls,
    "The connection": Tunesmith,
}
INTRODUCTION = """\
```python
from app.client import Tunesmith

ts = Tunesmith()
job = ts.train("customer-messages", "messages.csv", profile="rt-sentiment", base_model="minilm-l6")
for event in job.stream():
    print(event.type, event.data)
job.wait()
print(ts.predict("customer-messages", "Where is my parcel?").predictions[0].label)
```

`job.wait()` shows a bar in a terminal and in a notebook. What methods give are the resources of the API, as pydantic
models: `job.status`, `job.metrics.best`, `version.labels`; [the API by example](../guide/api.md) shows them. [Five
short programs](../../examples/README.md) use it."""
_PLACES = re.compile(r"\b(?:app|collections|pathlib|typing)(?:\.[a-z_]+)*\.(?=[A-Z])")


def client_page() -> str:
    """Write the introduction, and every method under its noun."""
    parts = [INTRODUCTION, "## Tunesmith\n" + _signature("Tunesmith", Tunesmith.__init__) + _words(Tunesmith)]
    for title, noun in NOUNS.items():
        parts.append(f"## {title}\n" + "\n\n".join(_methods(noun)))
    return "\n\n".join(parts)


def _methods(noun: type) -> Iterator[str]:
    for name, member in vars(noun).items():
        if not name.startswith("_") and inspect.isfunction(member):
            yield f"### {name}\n{_signature(name, member)}{_words(member)}"


def _signature(name: str, function: Any) -> str:
    """Write a call as a person would: without self, without the places of types."""
    found = inspect.signature(function)
    kept = [one for one in found.parameters.values() if one.name != "self"]
    returns = found.return_annotation if name != "Tunesmith" else inspect.Signature.empty
    text = str(found.replace(parameters=kept, return_annotation=returns)).replace("NoneType", "None")
    return f"```python\n{_wrapped(name, _PLACES.sub('', text).replace('~', ''))}\n```\n\n"


def _wrapped(name: str, text: str) -> str:
    """Break a long signature after its commas, but for those inside of brackets."""
    if len(name) + len(text) <= 110:
        return name + text
    inside, returns = text[1:].rsplit(")", 1) if " -> " not in text else text[1:].rsplit(") ->", 1)
    lines = re.split(r", (?![^\[]*\])", inside)
    arrow = f" ->{returns}" if " -> " in text else ""
    return f"{name}(\n" + "".join(f"    {line},\n" for line in lines) + f"){arrow}"


def _words(member: Any) -> str:
    return re.sub(r"``([^`]*)``", r"`\1`", inspect.getdoc(member) or "")

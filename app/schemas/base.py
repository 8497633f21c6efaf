"""The base of every request and response: strict types, no unknown fields, descriptions from docstrings."""

import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# Patterns of fields spell out A-Za-z0-9_: pydantic compiles each to an automaton, and a repeated Unicode \w takes
# tens of megabytes of every process.

Auto = Literal["auto"]
All = Literal["all"]

# A Hugging Face id or another plain name, or model:NAME[@ALIAS|:N].
BASE_MODEL_PATTERN = (
    r"^(model:[a-z0-9][a-z0-9._-]{0,62}(@[a-z][a-z0-9_-]{0,31}|:[1-9][0-9]{0,8})?"
    r"|[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,95})?)$"
)

ModelName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"),
    Field(
        description="Lower-case letters, digits, '.', '_' and '-'; 1 to 63 characters.",
        examples=["customer-messages"],
    ),
]
AliasName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$"),
    Field(description="A movable name for one version.", examples=["champion"]),
]
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16, description="Up to 16 pairs of your own, for filtering and for people."),
]


LEAN = "LEAN_SCHEMAS"
"""Environment variable of processes that show no descriptions and use few of these classes.

Reading the docstrings and building every validator is more than half of what loading them costs; with it nothing is
read, and what is used is built when it is used.
"""
_lean = LEAN in os.environ


class StrictModel(BaseModel):
    """What clients send: nothing is coerced, nothing unknown is swallowed."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        use_attribute_docstrings=not _lean,
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=_lean,
    )


class Resource(BaseModel):
    """What the service answers."""

    model_config = ConfigDict(use_attribute_docstrings=not _lean, protected_namespaces=(), defer_build=_lean)

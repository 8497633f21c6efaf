"""One question to the hub: a JSON object of bounded size, in bounded time."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST_ANSWER = 8 * 1024 * 1024


class NoAnswer(Exception):
    """The hub cannot be reached, is too slow, or says too much."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the hub said; ``body`` is empty when that was no JSON object."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


def ask(url: str, seconds: float) -> Answer:
    """Fetch ``url``, following redirects. Raises NoAnswer."""
    import httpx  # here, because it takes 3 MB that a process which only predicts never needs

    deadline = time.monotonic() + seconds
    content = bytearray()
    try:
        with httpx.stream("GET", url, timeout=seconds, follow_redirects=True) as response:
            for chunk in response.iter_bytes():
                content += chunk
                if time.monotonic() > deadline or len(content) > _LONGEST_ANSWER:
                    raise NoAnswer
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswer from error
    try:
        body = json.loads(content)
    except ValueError:
        body = {}
    return Answer(response.status_code, response.headers, body if isinstance(body, dict) else {})

"""Structured log lines for every process: JSON or console, bound to request and job ids, one line each, no secrets."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app import bearer
from app.settings import Settings

_SECRET_KEY = re.compile(r"(pass(word|wd)?|secret|token|api_?key|authorization|cookie|credential)", re.IGNORECASE)
_NOT_SECRET = frozenset({"tokens", "max_tokens", "token_budget", "tokenize_ms", "queued_tokens"})
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
# Libraries that narrate every step at INFO; a warning of theirs is still heard.
_TALKATIVE = ("httpx", "httpcore", "alembic", "celery", "kombu", "amqp", "filelock", "uvicorn.access", "urllib3")


def configure(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send every log line of this process, the libraries' too, to ``stream`` (stderr) in one form."""
    target = stream if stream is not None else sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer(settings, target)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Give a logger; ``name`` is the module's."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


@contextmanager
def bound(**values: str | int | None) -> Iterator[None]:
    """Add ``values`` (request_id, job_id, attempt) to every line that this context logs."""
    known = {key: value for key, value in values.items() if value is not None}
    tokens = structlog.contextvars.bind_contextvars(**known)
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


def frames(traceback: TracebackType | None) -> list[str]:
    """Name the places of a traceback without the values and messages that may quote a user's data."""
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{Path(code.co_filename).name}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return places


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _describe_exception,
        _redact,
    ]


def _renderer(settings: Settings, target: TextIO) -> list[Processor]:
    wants_json = settings.log_format == "json" or (settings.log_format == "auto" and not target.isatty())
    if wants_json:
        return [structlog.processors.JSONRenderer(ensure_ascii=False, default=str)]
    return [structlog.dev.ConsoleRenderer(colors=target.isatty(), pad_event_to=30)]


def _describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Turn exc_info into its type and places: an exception's message may hold a line of somebody's dataset."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    elif isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[1] is not None:
        event["error_type"] = type(info[1]).__name__
        event["error_at"] = frames(info[2])
    return event


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide what looks like a secret and keep a value from starting a line of its own."""
    return {key: _safe(key, value) for key, value in event.items()}


def _safe(key: str, value: Any) -> Any:
    if key not in _NOT_SECRET and _SECRET_KEY.search(key) and isinstance(value, str):
        return "[hidden]"
    if isinstance(value, str):
        return _CONTROL.sub(" ", bearer.hidden(_URL_CREDENTIALS.sub("[hidden]", value)))
    if isinstance(value, dict):
        return {inner: _safe(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_safe(key, item) for item in value]
    return value

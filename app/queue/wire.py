"""The few words of Redis' protocol that a hint takes.

The library of the broker takes 7 MB, which a process that only answers predictions does not have to spare: it rests
below 200 MB with a real encoder (`tests/house/test_footprint.py`), and would rest at 204 with it.
"""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

SCHEMES = frozenset({"redis", "rediss", "redis+socket"})
DEFAULT_PORT = 6379
LONGEST_REPLY = 1 << 20
"""Bytes; nothing that is asked for here has a longer answer."""

Reply = bytes | int | list["Reply"] | None


class Refused(ConnectionError):
    """The broker answered with an error, or with something that is no answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a broker is, and how to get in."""

    host: str
    port: int
    socket: str
    """The path of a Unix socket; empty: it is reached by host and port."""
    login: tuple[str, ...]
    """What AUTH is told; empty: nothing."""
    tls: dict[str, str] | None
    """Options of TLS; None: it is not used."""


def place_of(url: str) -> Place | None:
    """Read the URL of a broker; None for one that does not speak this protocol, or that makes no sense."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        return None
    if parts.scheme not in SCHEMES:
        return None
    login = tuple(unquote(word) for word in (parts.username, parts.password) if word)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return Place(
        host=parts.hostname or "127.0.0.1",
        port=port,
        socket=unquote(parts.path) if parts.scheme == "redis+socket" else "",
        login=login if parts.password else (),
        tls=options if parts.scheme == "rediss" else None,
    )


class Wire:
    """An open connection, used by one task at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, place: Place) -> "Wire":
        """Connect and get in. Raises OSError, of which Refused is one."""
        if place.socket:
            wire = cls(*await asyncio.open_unix_connection(place.socket))
        else:
            tls = None if place.tls is None else _context(place.tls)
            wire = cls(*await asyncio.open_connection(place.host, place.port, ssl=tls))
        try:
            if place.login:
                await wire.ask("AUTH", *place.login)
        except BaseException:
            wire.close()
            raise
        return wire

    async def ask(self, *words: str) -> Reply:
        """Send a command and give its answer. Raises OSError."""
        await self.send(*words)
        return await self.read()

    async def send(self, *words: str) -> None:
        """Send a command. Raises OSError."""
        parts = [f"*{len(words)}\r\n".encode()]
        for word in words:
            content = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(content), content))
        self._writer.write(b"".join(parts))
        await self._writer.drain()

    async def read(self) -> Reply:
        """Wait for what comes next. Raises OSError, Refused."""
        try:
            return await self._read()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise Refused("the connection was cut, or it speaks another protocol") from error

    async def _read(self) -> Reply:
        line = await self._reader.readuntil(b"\r\n")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"-":
            raise Refused(rest.decode(errors="replace")[:200])
        if kind not in b"$*":
            raise Refused("it speaks another protocol")
        size = int(rest)
        if size > LONGEST_REPLY:
            raise Refused("the answer is too long")
        if kind == b"*":
            return [await self._read() for _ in range(size)]
        return None if size < 0 else (await self._reader.readexactly(size + 2))[:-2]

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def _context(options: dict[str, str]) -> ssl.SSLContext:
    """Make what TLS needs from the options that brokers' URLs have for it. Raises OSError for files that are not."""
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path"))
    wanted = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if wanted != "required" or options.get("ssl_check_hostname", "true").lower() in ("false", "0", "no"):
        context.check_hostname = False
    if wanted != "required":
        context.verify_mode = ssl.CERT_NONE if wanted == "none" else ssl.CERT_OPTIONAL
    if "ssl_certfile" in options:
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    return context

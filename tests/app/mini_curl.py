"""The part of curl that the documentation uses, for machines without curl; only the standard library, to start fast."""

import argparse
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from email.message import Message
from pathlib import Path


def main() -> None:
    options = _options()
    data, kind = _body(options)
    url = options.url
    if options.get and data is not None:
        url, data = f"{url}?{data.decode()}", None
    request = urllib.request.Request(url, data, {}, method=options.method or ("GET" if data is None else "POST"))
    if data is not None:
        request.add_header("Content-Type", kind)
    for header in options.header:
        request.add_header(*(part.strip() for part in header.split(":", 1)))
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        if options.include:
            _tell_head(answer.status, answer.reason, answer.headers)
        if options.output is None:
            sys.stdout.buffer.write(answer.read())
        else:
            Path(options.output).write_bytes(answer.read())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-s", "--silent", action="store_true")
    parser.add_argument("-N", "--no-buffer", action="store_true")
    parser.add_argument("-i", "--include", action="store_true")
    parser.add_argument("-G", "--get", action="store_true")
    parser.add_argument("-o", dest="output")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="header", action="append", default=[])
    parser.add_argument("-d", dest="data", action="append", default=[])
    parser.add_argument("--data-urlencode", dest="encoded", action="append", default=[])
    parser.add_argument("--data-binary", dest="binary")
    parser.add_argument("-F", dest="form", action="append", default=[])
    return parser.parse_args()


def _body(options: argparse.Namespace) -> tuple[bytes | None, str]:
    if options.form:
        boundary = uuid.uuid4().hex
        return _multipart(options.form, boundary), f"multipart/form-data; boundary={boundary}"
    if options.binary is not None:
        return Path(options.binary.removeprefix("@")).read_bytes(), "application/x-www-form-urlencoded"
    pairs = [(name, urllib.parse.quote(value)) for name, _, value in (pair.partition("=") for pair in options.encoded)]
    parts = [*options.data, *(f"{urllib.parse.quote(name)}={value}" for name, value in pairs)]
    return ("&".join(parts).encode() if parts else None), "application/x-www-form-urlencoded"


def _multipart(fields: list[str], boundary: str) -> bytes:
    body = b""
    for field in fields:
        name, _, value = field.partition("=")
        is_file = value.startswith("@")
        content = Path(value[1:]).read_bytes() if is_file else value.encode()
        file = f'; filename="{Path(value[1:]).name}"' if is_file else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        body += content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def _tell_head(status: int, reason: str, headers: Message) -> None:
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    sys.stdout.buffer.write(("\r\n".join(lines) + "\r\n\r\n").encode())


if __name__ == "__main__":
    main()

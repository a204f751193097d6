"""Sends one hostile request over a connection of its own, and judges what comes back."""

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hostile_http import Hostile
from tfcifar.run_dir import write_whole

ANSWER_SECONDS = 60  # the server's own bound is half of it
CLOSED, SILENT, UNREADABLE = "closed", "silent", "unreadable"
MAY_BE_CLOSED = ("headers", "framing", "paths")  # no request that could be answered
CUT_MARK = "-cut"


@dataclass(frozen=True)
class Answer:
    """status: of HTTP, or CLOSED (no answer), SILENT (none in time) or UNREADABLE (no HTTP)."""

    status: int | str
    headers: dict[str, str]  # names in lower case
    body: bytes


def ask(port: int, request: Hostile) -> Answer:
    """The first answer to `request`."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
        try:
            connection.sendall(request.data)
            if request.cut:
                connection.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # refused before the server had all of it: the answer may be there
        method = request.data.partition(b" ")[0].decode("latin-1")
        response = http.client.HTTPResponse(connection, method=method)
        try:
            response.begin()
            body = response.read()
        except (http.client.RemoteDisconnected, ConnectionError):
            return Answer(CLOSED, {}, b"")
        except TimeoutError:
            return Answer(SILENT, {}, b"")
        except (http.client.HTTPException, ValueError) as error:
            return Answer(UNREADABLE, {}, repr(error).encode())
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def fault_of(request: Hostile, answer: Answer) -> str | None:
    """What is wrong with an answer, in a few words; None: nothing is."""
    if answer.status == CLOSED:
        allowed = request.cut or request.kind in MAY_BE_CLOSED
        return None if allowed else "the connection was closed without an answer"
    if isinstance(answer.status, str):
        return f"{answer.status}: {answer.body[:200].decode('latin-1')}"
    if request.good and answer.status != 200:
        return f"status {answer.status} for a good request: {answer.body[:200].decode('latin-1')}"
    if answer.status >= 500 and not (answer.status == 503 and "retry-after" in answer.headers):
        return f"status {answer.status}: {answer.body[:200].decode('latin-1')}"
    if b"Traceback" in answer.body:
        return f"status {answer.status} with a stack trace"
    if answer.status >= 400 and answer.headers.get("content-type") == "application/json" and answer.body:
        return None if _is_error(answer.body) else f"status {answer.status} with an error of another form"
    return None


def _is_error(body: bytes) -> bool:
    try:
        return set(json.loads(body)) == {"error", "request_id"}
    except ValueError:
        return False


def save(request: Hostile, number: int, folder: Path) -> Path:
    """Write the bytes of a request to a file from which `load` makes it again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number:05d}-{request.kind.replace(' ', '-')}{CUT_MARK if request.cut else ''}.http"
    write_whole(path, lambda temporary: temporary.write_bytes(request.data))
    return path


def load(path: Path) -> Hostile:
    return Hostile("replayed", path.read_bytes(), cut=path.stem.endswith(CUT_MARK))

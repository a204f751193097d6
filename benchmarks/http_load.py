"""A small HTTP client that keeps many connections busy: prepared requests, statuses and seconds of the answers."""

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass
class Load:
    """What came back. seconds: of each answer with status 200, from sending to its last byte."""

    duration: float = 0.0  # seconds, from the first request to the last answer
    seconds: list[float] = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)  # "lost": the connection ended before its answer
    not_sent: int = 0  # requests that were due when no connection was free

    def per_second(self, status: int = 200) -> float:
        return self.statuses[status] / self.duration


class Connection(asyncio.Protocol):
    """One request at a time; `on_answer(self, status, seconds)` when its answer is complete."""

    def __init__(self, on_answer):
        self.on_answer = on_answer
        self.received = b""
        self.busy = False

    def connection_made(self, transport) -> None:
        self.transport = transport

    def send(self, request: bytes) -> None:
        self.busy, self.received, self.started = True, b"", time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            self.busy = False
            self.on_answer(self, int(head[9:12]), time.perf_counter() - self.started)

    def connection_lost(self, _) -> None:
        if self.busy:
            self.busy = False
            self.on_answer(self, "lost", 0.0)


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A whole HTTP/1.1 request."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def saturate(port: int, request: bytes, connections: int, seconds: float) -> Load:
    """Closed loop: each connection sends its next request when it has the answer to the last one."""
    load, until, loop = Load(), time.perf_counter() + seconds, asyncio.get_running_loop()
    finished = asyncio.Semaphore(0)

    def on_answer(connection: Connection, status, taken: float) -> None:
        _record(load, status, taken)
        if status != "lost" and time.perf_counter() < until:
            connection.send(request)
        else:
            finished.release()

    opened = [await _connect(loop, port, on_answer) for _ in range(connections)]
    started = time.perf_counter()
    for connection in opened:
        connection.send(request)
    for _ in opened:
        await finished.acquire()
    load.duration = time.perf_counter() - started
    _close(opened)
    return load


async def offer(port: int, request: bytes, connections: int, seconds: float, per_second: float) -> Load:
    """Open loop: requests at a steady rate whatever the answers, as long as one of `connections` is free."""
    load, loop, free = Load(), asyncio.get_running_loop(), deque()

    def on_answer(connection: Connection, status, taken: float) -> None:
        _record(load, status, taken)
        if status != "lost":
            free.append(connection)

    opened = [await _connect(loop, port, on_answer) for _ in range(connections)]
    free += opened
    started, due = time.perf_counter(), 0
    while (now := time.perf_counter() - started) < seconds:
        while due < now * per_second:
            due += 1
            if not free:
                load.not_sent += 1
                continue
            connection = free.popleft()  # the one that has been idle for longest: servers close those
            if connection.transport.is_closing():
                connection = await _connect(loop, port, on_answer)
                opened.append(connection)
            connection.send(request)
        await asyncio.sleep(0.001)
    while any(connection.busy for connection in opened):
        await asyncio.sleep(0.01)
    load.duration = time.perf_counter() - started
    _close(opened)
    return load


def _record(load: Load, status, taken: float) -> None:
    load.statuses[status] += 1
    if status == 200:
        load.seconds.append(taken)


async def _connect(loop, port: int, on_answer) -> Connection:
    _, connection = await loop.create_connection(lambda: Connection(on_answer), "127.0.0.1", port)
    return connection


def _close(connections: list[Connection]) -> None:
    for connection in connections:
        connection.transport.close()

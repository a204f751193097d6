"""Connections that take their time over a request, on a real socket."""

import asyncio
import contextlib

import pytest
import uvicorn

from tfcifar.serving import protocol
from tfcifar.serving.server import bind

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer(scope, receive, send):
    """Answers before it has read the body, as a refusal does."""
    await asyncio.sleep(float(scope["path"].removeprefix("/") or 0))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextlib.asynccontextmanager
async def connection():
    """(reader, writer) of a connection to a server that closes idle connections after 5 s."""
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(answer, http=protocol.BoundedHttpProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    yield reader, writer
    writer.close()
    server.should_exit = True
    await running


@pytest.fixture(autouse=True)
def short_time(monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)


def test_a_head_that_does_not_end_closes_the_connection():
    async def trickle():
        async with connection() as (reader, writer):
            with contextlib.suppress(ConnectionError):
                for byte in GET[:-2] * 10:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.01)
            return await reader.read()

    with contextlib.suppress(ConnectionError):  # a reset is as good
        assert asyncio.run(asyncio.wait_for(trickle(), 5)) == b""


def test_a_body_that_nobody_reads_does_not_hold_the_connection():
    async def trickle():
        async with connection() as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            received = await reader.readuntil(b"ok")
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.01)
            return received, reader.at_eof()

    received, ended = asyncio.run(asyncio.wait_for(trickle(), 5))
    assert received.startswith(b"HTTP/1.1 200")
    assert ended


def test_requests_that_take_long_and_others_behind_them_are_answered():
    async def pipeline():
        async with connection() as (reader, writer):
            writer.write(GET.replace(b"/ ", b"/0.5 ", 1) + GET)
            return [await reader.readuntil(b"ok") for _ in range(2)]

    assert all(each.startswith(b"HTTP/1.1 200") for each in asyncio.run(asyncio.wait_for(pipeline(), 5)))

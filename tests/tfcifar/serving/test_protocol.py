"""Connections that take their time over a request, or send without an end, on a real socket."""

import asyncio
import contextlib
import logging
import socket

import pytest
import uvicorn

from tfcifar.serving import protocol
from tfcifar.serving.server import bind

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /0.5 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = 20_000_000  # bytes: more than the buffers of a connection


async def answer(scope, receive, send):
    """Answers before it has read the body, as a refusal does; after the seconds that the path says."""
    body = b"ok"
    if scope["path"] == "/large":
        body = bytes(LARGE)
    elif scope["path"] == "/echo":
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
    else:
        await asyncio.sleep(float(scope["path"].removeprefix("/") or 0))
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})  # waits until the client has read most of it


@contextlib.asynccontextmanager
async def running_server():
    """A server that closes idle connections after 5 s, and its address."""
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(answer, http=protocol.BoundedHttpProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield server, listener.getsockname()
    server.should_exit = True
    await running


@contextlib.asynccontextmanager
async def connection():
    """(reader, writer) of a connection to such a server."""
    async with running_server() as (_, address):
        reader, writer = await asyncio.open_connection(*address)
        yield reader, writer
        writer.close()


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
            return received, reader.at_eof() or reader.exception() is not None  # a reset is as good

    received, ended = asyncio.run(asyncio.wait_for(trickle(), 5))
    assert received.startswith(b"HTTP/1.1 200")
    assert ended


def test_requests_that_take_long_and_others_behind_them_are_answered():
    async def pipeline():
        async with connection() as (reader, writer):
            writer.write(GET.replace(b"/ ", b"/0.5 ", 1) + GET)
            return [await reader.readuntil(b"ok") for _ in range(2)]

    assert all(each.startswith(b"HTTP/1.1 200") for each in asyncio.run(asyncio.wait_for(pipeline(), 5)))


@pytest.mark.parametrize(
    "start",
    [b"", GET[:-2] + b"X-Long: ", CHUNKED + b"1;", CHUNKED + b"1\r\nx\r\n0\r\nX-Trailer: "],
    ids=["nothing", "header", "chunk extension", "trailer"],
)
def test_what_does_not_end_is_refused_before_it_fills_the_memory(start, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 10)

    async def flood():
        async with connection() as (reader, writer):
            writer.write(start)
            with contextlib.suppress(ConnectionError):
                for _ in range(1000):
                    writer.write((b"\r\n" if start == b"" else b"aa") * 5000)
                    await writer.drain()
            return await reader.read(12)

    with contextlib.suppress(ConnectionError):  # a reset is as good
        assert asyncio.run(asyncio.wait_for(flood(), 5)) == b"HTTP/1.1 400"


def test_a_body_in_small_chunks_and_a_trailer_is_none_of_these():
    async def stream():
        async with connection() as (reader, writer):
            writer.write(CHUNKED.replace(b"0.5", b"echo"))
            for _ in range(20):
                writer.write(b"1;a=b\r\nx\r\n" * 1000)
                await writer.drain()
            writer.write(b"0\r\nX-Sum: 1\r\n\r\n" + GET)
            return await reader.readuntil(b"x" * 20_000), await reader.readuntil(b"ok")

    received = asyncio.run(asyncio.wait_for(stream(), 5))
    assert all(each.lstrip().startswith(b"HTTP/1.1 200") for each in received)


def test_a_client_that_asks_again_and_again_without_waiting_is_refused():
    async def pipeline():
        async with connection() as (reader, writer):
            writer.write(GET * 5000)
            with contextlib.suppress(ConnectionError):
                return await reader.read()
        return b""

    assert asyncio.run(asyncio.wait_for(pipeline(), 5)).count(b"ok") <= protocol.PIPELINED


def test_a_connection_that_is_closed_before_the_answer_is_no_error_of_the_server(caplog):
    async def pipeline():
        async with connection() as (reader, writer):
            writer.write(GET.replace(b"/ ", b"/0.1 ", 1) + GET + b"no HTTP\r\n\r\n")
            await reader.read()
            await asyncio.sleep(0.2)

    uvloop = pytest.importorskip("uvloop")  # it raises where asyncio's own loop says nothing
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(pipeline(), 5))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_client_that_does_not_read_its_answer_loses_its_connection(monkeypatch):
    monkeypatch.setattr(protocol, "STALL_SECONDS", 0.3)

    async def stall():
        async with running_server() as (server, address):
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(address)
                client.sendall(GET.replace(b"/ ", b"/large ", 1))
                while not server.server_state.connections:
                    await asyncio.sleep(0.01)
                while server.server_state.connections:
                    await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(stall(), 5))

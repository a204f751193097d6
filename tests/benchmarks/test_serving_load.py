"""The load client counts what comes back, and the figures are made of what it counted."""

import asyncio
from collections import Counter

import pytest

from benchmarks.http_load import Load, offer, post, saturate
from benchmarks.serving_load import Row, records, table

REQUEST = post("/x", b"body", {"Some": "header"})


def answer(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok".encode()


def against(answers: list[bytes], run) -> Load:
    """Run a load against a server that gives `answers` in turn; an empty one closes the connection."""

    async def main():
        given = 0

        async def serve(reader, writer):
            nonlocal given
            try:
                while True:
                    assert await reader.readexactly(len(REQUEST)) == REQUEST
                    written = answers[given % len(answers)]
                    given += 1
                    if not written:
                        break
                    for half in (written[:10], written[10:]):  # an answer may come in pieces
                        writer.write(half)
                        await writer.drain()
                        await asyncio.sleep(0)
                    if b"connection: close" in written:
                        break
            except asyncio.IncompleteReadError:
                pass
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            return await run(server.sockets[0].getsockname()[1])

    return asyncio.run(main())


def test_a_closed_loop_keeps_every_connection_busy():
    load = against([answer("200 OK")], lambda port: saturate(port, REQUEST, connections=3, seconds=0.2))
    assert load.statuses[200] == len(load.seconds) > 3
    assert load.duration == pytest.approx(0.2, abs=0.15)


def test_an_open_loop_offers_its_rate_and_counts_refusals():
    answers = [answer("200 OK"), answer("429 Too Many Requests")]
    load = against(answers, lambda port: offer(port, REQUEST, connections=8, seconds=0.5, per_second=100))
    assert load.statuses.total() + load.not_sent == pytest.approx(50, abs=3)
    assert abs(load.statuses[200] - load.statuses[429]) <= 1


def test_connections_that_end_without_an_answer_are_lost_requests():
    load = against([b""], lambda port: saturate(port, REQUEST, connections=2, seconds=0.2))
    assert load.statuses == Counter(lost=2)


def test_an_open_loop_opens_connections_anew_that_the_server_has_closed_while_they_were_idle():
    closing = answer("200 OK").replace(b"content-length", b"connection: close\r\ncontent-length")
    load = against([closing], lambda port: offer(port, REQUEST, connections=4, seconds=0.5, per_second=20))
    assert load.statuses.total() == load.statuses[200] > 4  # none is lost


def test_figures_follow_from_what_was_counted():
    load = Load(2.0, [0.01] * 100, Counter({200: 100, 429: 7}))
    row = Row("load", images=32, load=load, raw=3200.0)
    assert row.cells() == ["load", "50", "1,600", "0.50", "10.0", "10.0", "7 x 429"]
    assert "| load | 50 | 1,600 | 0.50 | 10.0 | 10.0 | 7 x 429 |" in table([row])
    found = {
        each["metric"]: (each["value"], each["unit"])
        for each in records(row, {"command": "c", "commit": "d", "hardware": "2 cores"}, 9)
    }
    assert found == {"requests_per_second": (50, "requests/s"), "p99_ms": (10, "ms"), "ratio_to_raw": (0.5, "ratio")}

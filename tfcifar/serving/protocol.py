"""uvicorn's HTTP parser with bounds on what a connection may send, and on the time it may take to send and to read.

httptools itself collects headers and pipelined requests without an end, and a client that does not read its answer
would keep a connection for ever.
"""

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

HEAD_BYTES = 32 * 1024  # request line and headers; browsers and proxies stay below 16 KiB
HEAD_SECONDS = 10.0  # from the connection, or the last answer, to the end of the next head
PIPELINED = 32  # requests that may wait for the answer to the one before
STALL_SECONDS = 30.0  # that a client may take until it reads on


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes connections whose next head is too large (with 400) or takes too long (without a word).

    So are those with too many requests at once, and those whose client does not read its answers.
    """

    head_timer: asyncio.TimerHandle | None = None
    stall_timer: asyncio.TimerHandle | None = None
    running = None  # the request that is being answered; with others behind it, `cycle` is the last of them
    head_bytes = 0
    unparsed = 0  # bytes since there was the last whole piece: what the parser may be holding

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_stall_timer()
        if self.running is not None:  # uvicorn tells `cycle` alone, and this one would write to what is closed
            self.running.disconnected = True
            self.running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.unparsed += len(data)
        super().data_received(data)
        # A header, a trailer or the extension of a chunk that does not end.
        if self.unparsed > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Invalid HTTP request received.")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_stall_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stall_timer()

    def on_message_begin(self) -> None:
        self.head_bytes = self.unparsed = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self.unparsed = 0
        if len(self.pipeline) >= PIPELINED:
            raise ValueError("too many requests in a row")  # see `_count`
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.unparsed = 0
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        self.running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._start_timer()

    def _count(self, size: int) -> None:
        self.head_bytes += size
        if self.head_bytes > HEAD_BYTES:
            raise ValueError("head of a request is too large")  # the parser turns it into its error, uvicorn into 400

    def _start_timer(self) -> None:
        self._stop_timer()
        self.head_timer = self.loop.call_later(HEAD_SECONDS, self._on_timer)

    def _stop_timer(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def _on_timer(self) -> None:
        if self.cycle is None or self.cycle.response_complete:  # else a pipelined request is being answered
            self.transport.close()  # which waits for what is still to be sent
            self._start_stall_timer()

    def _start_stall_timer(self) -> None:
        self._stop_stall_timer()
        self.stall_timer = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def _stop_stall_timer(self) -> None:
        if self.stall_timer is not None:
            self.stall_timer.cancel()
            self.stall_timer = None

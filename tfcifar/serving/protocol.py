"""uvicorn's HTTP parser with bounds on the head of a request: httptools itself reads headers without an end."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 32 * 1024  # request line and headers; browsers and proxies stay below 16 KiB
HEAD_SECONDS = 10.0  # from the connection, or the last answer, to the end of the next head


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes connections whose next head is too large (with 400) or takes too long (without a word)."""

    head_timer: asyncio.TimerHandle | None = None
    head_bytes = 0

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self.head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
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
            self.transport.close()

"""What every request passes first: its id, its key, the bounds on bytes, numbers and seconds; then log and metrics."""

import asyncio
import hashlib
import hmac
import json
import logging
import re
import time
import uuid

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tfcifar.serving.errors import RequestError, bad_request, busy
from tfcifar.serving.metrics import Metrics
from tfcifar.serving.settings import Settings

logger = logging.getLogger(__name__)

SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# What a probe or a browser asks before it has a key. Nothing in it tells of the models.
OPEN_PATHS = ("/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready")
OPEN_FOLDER = "/static/"
GONE = 499  # for the log and the metrics, as nginx has it: the client left before there was an answer
BODIES = 8  # times max_body: bytes of bodies that one process may hold


def digest_of(key: str) -> bytes:
    """Keys are kept and compared as SHA-256 digests: of one length, whatever was sent."""
    return hashlib.sha256(key.encode()).digest()


class Gate:
    """ASGI middleware around the whole application. Adds X-Request-ID to every answer."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics):
        self.app, self.settings, self.metrics = app, settings, metrics
        self.requests = 0  # with a body, in progress
        self.held = 0  # bytes of their bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        answer = Answer(send, _request_id(headers))
        scope.setdefault("state", {})["request_id"] = answer.request_id
        self.metrics.in_progress.inc()
        try:
            await self._pass(scope, headers, receive, answer)
        except RequestError as refused:
            await answer.refuse(refused)
        except Exception:
            logger.exception("internal error", extra={"fields": {"request_id": answer.request_id}})
            await answer.refuse(RequestError(500, "internal error."))
        finally:
            self.metrics.in_progress.dec()
            self._record(scope, answer, time.perf_counter() - started)

    async def _pass(self, scope: Scope, headers: Headers, receive: Receive, answer: "Answer") -> None:
        self._check_key(scope["path"], headers)
        if scope["method"] != "POST":
            await self.app(scope, receive, answer.send)
            return
        if headers.get("content-encoding", "identity") != "identity":
            raise RequestError(415, "content-encoding: expected none: compressed bodies are not unpacked.")
        if self.requests >= self.settings.max_requests:
            raise busy(f"{self.requests} requests are in progress, as many as are allowed; try again later.")
        body = Body(receive, self)
        self.requests += 1
        try:
            async with asyncio.timeout(self.settings.timeout):
                await body.expect(headers.get("content-length"))
                await self.app(scope, body.receive, answer.send)
        except TimeoutError:
            seconds = f"{self.settings.timeout:g} s"
            if body.complete:
                raise RequestError(503, f"no answer within {seconds}; try again later.", {"Retry-After": "1"}) from None
            raise RequestError(408, f"the body did not arrive within {seconds}.", {"Connection": "close"}) from None
        finally:
            self.requests -= 1
            self.held -= body.held

    def _check_key(self, path: str, headers: Headers) -> None:
        if not self.settings.keys or path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        digest = digest_of(given)
        if not sum(hmac.compare_digest(digest, key) for key in self.settings.keys):  # all are compared, none skipped
            raise RequestError(
                401, "API key: expected a valid one in X-API-Key or Authorization: Bearer.",
                {"WWW-Authenticate": "Bearer"},
            )  # fmt: skip

    def _record(self, scope: Scope, answer: "Answer", seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")  # the pattern: metrics must not grow with what is asked
        self.metrics.requests.labels(route, answer.status).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        client = scope.get("client")
        fields = {
            "request_id": answer.request_id,
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": answer.status,
            "milliseconds": round(1000 * seconds, 2),
            "client": client[0] if client else None,
        }
        logger.info("request", extra={"fields": fields})


class Body:
    """The body of one request, counted while it arrives."""

    def __init__(self, receive: Receive, gate: Gate):
        self.source, self.gate, self.limit = receive, gate, gate.settings.max_body
        self.received = 0  # bytes
        self.held = 0  # bytes counted in gate.held; not those that are announced: they may never come
        self.complete = False

    async def expect(self, content_length: str | None) -> None:
        """Refuse at once what is announced to be too large."""
        if content_length is None:
            return
        if not re.fullmatch(r"[0-9]{1,18}", content_length):
            raise bad_request("content-length: expected a number.")
        if int(content_length) > self.limit:
            await self._drain()
            raise self._too_large()

    async def receive(self) -> Message:
        message = await self.source()
        if message["type"] == "http.disconnect" and not self.complete:
            raise RequestError(GONE, "the client was gone before its body was complete.")
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            if self.received > self.limit:
                raise self._too_large()
            self._hold()
            self.complete = not message.get("more_body", False)
        return message

    def _hold(self) -> None:
        more = self.received - self.held
        if self.gate.held + more > BODIES * self.limit:
            raise busy("the bodies of the requests in progress take all memory that is allowed; try again later.")
        self.gate.held += more
        self.held = self.received

    async def _drain(self) -> None:
        """Throw away a body that is up to twice as large as allowed: a client that is still sending reads no answer."""
        try:
            async with asyncio.timeout(2):
                while self.received < 2 * self.limit:
                    message = await self.source()
                    self.received += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return
        except TimeoutError:
            pass

    def _too_large(self) -> RequestError:
        return RequestError(
            413, f"body: expected at most {self.limit:,} bytes, received more.", {"Connection": "close"}
        )


class Answer:
    """Passes an answer on, with the request's id in its head, and remembers its status."""

    def __init__(self, send: Send, request_id: str):
        self.source, self.request_id = send, request_id
        self.status = GONE  # unless there will be another
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            message["headers"] = [
                *message.get("headers", []),
                (b"x-request-id", self.request_id.encode()),
                (b"x-content-type-options", b"nosniff"),
            ]
        await self.source(message)

    async def refuse(self, refused: RequestError) -> None:
        if self.started:  # too late for a status; the connection is cut where the answer is incomplete
            return
        body = error_body(refused, self.request_id)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refused.headers}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refused.status, "headers": encoded})
        await self.send({"type": "http.response.body", "body": body})


def error_body(refused: RequestError, request_id: str) -> bytes:
    """The JSON of an error, as Open Inference and TensorFlow Serving have it, with the request's id."""
    return json.dumps({"error": str(refused), "request_id": request_id}).encode()


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if SANE_ID.fullmatch(given) else uuid.uuid4().hex

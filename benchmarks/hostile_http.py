"""Requests whose heads, framing or paths try a server: bytes as they go over a connection of their own."""

import random
from dataclasses import dataclass

PATHS = ("/v2/models/model/infer", "/v1/models/model:predict", "/v1/models/model:classify", "/predict", "/explain")
PAGES = ("/", "/static/app.js", "/v2", "/docs", "/metrics", "/models")
TRICKS = (
    "..", "%2e%2e", "%2f", "%5c", "%00", "%0d%0aX-Injected:%201", "%c0%ae", "%ff", "..;", "~", "*", "'", "%25", "$(id)",
    "a" * 300, "%F0%9F%98%80", "{name}", "model:predict", "con", "etc", "passwd", "server.py", ".git", "", ".",
)  # fmt: skip
PIECES = ("v1", "v2", "models", "model", "versions", "1", "infer", "static", "predict", "health", "live", *TRICKS)
QUERIES = ("", "?model=../x", "?top=-1", "?top=%00", "?version=1e9", "?" + "a=b&" * 1000, "?%", "#x", "?top=1&top=x")
HEADERS = (
    "Range: bytes=0-0,5-9,-1", "Range: bytes=" + "0-," * 3000, "Range: bytes=9-1", "Range: x", "If-None-Match: *",
    "If-Modified-Since: yesterday", "If-Modified-Since: Sun, 99 Foo 99999 99:99:99 GMT", "If-Range: x",
    "Accept: " + "*/*," * 2000, "Cookie: " + "a=b; " * 5000, "Expect: 100-continue", "Expect: a miracle",
    "Upgrade: websocket\r\nConnection: Upgrade", "Upgrade: h2c\r\nConnection: Upgrade", "Connection: close, keep-alive",
    "X-Request-ID: " + "x" * 30_000, "X-Request-ID: a\tb", "X-Request-ID: {}", "X-API-Key: \xe9", "Origin: null",
    "Authorization: Bearer", "Authorization: Basic \xff\xfe", "X-Forwarded-For: ::1", "X-HTTP-Method-Override: DELETE",
    "Content-Type: multipart/form-data", "Content-Type: application/json; charset=utf-7", "Content-Type: \xff",
    "Inference-Header-Content-Length: -1", "Inference-Header-Content-Length: " + "9" * 5000, "Trailer: X",
    "Host: ", "Host: a\r\nHost: b", "X-Long: " + "a" * 100_000, "X-Many: a\r\n" * 5000 + "B: c", "A" * 40_000 + ": b",
    " Folded: a", "No colon", "Space : a", "A: b\r\n c", "X: \x01", "X: \0", ": empty", "Transfer-Encoding: identity",
)  # fmt: skip
LENGTHS = (
    "-1",
    "+5",
    "5, 5",
    "5\r\nContent-Length: 6",
    "0x5",
    "5 5",
    "",
    "9" * 30,
    "99999999999",
    "1e3",
    "\xb2",
    "4",
    "6",
)
# The server knows at once that these are wrong, or whole: it has to answer, though the client is still there.
ANSWERED = (
    "{chunked}\r\n5\r\nhello\r\n0\r\n\r\n", "{chunked}\r\nzz\r\nhello", "{chunked}\r\n-5\r\nhello\r\n0\r\n\r\n",
    "{chunked}\r\nffffffffffffffffffff\r\nhello",
    "{chunked}Content-Length: 5\r\n\r\nhello", "{post}Transfer-Encoding: xchunked\r\n\r\nhello", "{post}\r\nhello",
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 500, "GET /\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\r\n" * 50_000, "CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "\x16\x03\x01\x02\0\x01\0\x01\xfc" + "\0" * 500,
)  # fmt: skip
# Here it would rightly wait for more.
CUT = (
    "", "GET / HT", "{post}Content-Length: {length}\r\n\r\nhello", "{chunked}\r\n5\r\nhel",
    "{chunked}\r\n5\r\nhello\r\n", "{chunked}\r\n5;" + "a" * 50_000, "{chunked}\r\n0\r\n" + "X: y" * 20_000,
    "{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "{post}Content-Length: 20000000\r\n\r\nhello",
    "{post}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
)  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """kind: for the table. data: the bytes. cut: the client is gone behind them. good: has to be answered with 200."""

    kind: str
    data: bytes
    cut: bool = False
    good: bool = False


def header(source: random.Random) -> Hostile:
    """Methods and headers that are wrong, rare, too long or too many."""
    method = source.choice(["GET", "HEAD", "POST", "OPTIONS", "TRACE", "DELETE", "BREW", "get", "PROPFIND"])
    lines = [f"{method} {source.choice([*PAGES, *PATHS])} HTTP/1.1", "Host: localhost"]
    lines += source.sample(HEADERS, source.randint(1, 3))
    return Hostile("headers", "\r\n".join([*lines, "", ""]).encode("latin-1"))


def framing(source: random.Random) -> Hostile:
    """Bodies that are longer or shorter than they say, or no HTTP at all."""
    if source.random() < 0.1:
        return Hostile("framing", source.randbytes(source.choice([1, 100, 70_000])), cut=True)
    cut = source.random() < 0.5
    data = source.choice(CUT if cut else ANSWERED)
    post = f"POST {source.choice(PATHS)} HTTP/1.1\r\nHost: x\r\n"
    for name, text in (
        ("{chunked}", f"{post}Transfer-Encoding: chunked\r\n"),
        ("{post}", post),
        ("{length}", source.choice(LENGTHS)),
    ):
        data = data.replace(name, text)
    return Hostile("framing", data.encode("latin-1"), cut)


def path(source: random.Random) -> Hostile:
    """Ways out of a folder or into another route."""
    inside = "/" + "/".join(source.choices(PIECES, k=source.randint(1, 7)))
    target = source.choice(
        [inside, inside, inside, f"http://localhost{inside}", f"//{inside}", "*", "/" + "a/" * 10_000]
    )
    method = source.choice(["GET", "POST", "HEAD", "PUT"])
    head = f"{method} {target}{source.choice(QUERIES)} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    return Hostile("paths", head.encode())

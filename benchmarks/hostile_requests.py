"""Requests that a server must refuse, or answer, without harm; which one comes next is up to a seed.

`benchmarks.hostile_http` has those whose heads are odd, `benchmarks.hostile_images` the files; here are the bodies.
"""

import base64
import copy
import gzip
import json
import random
import zlib
from collections.abc import Iterator

from benchmarks import hostile_http, hostile_images
from benchmarks.hostile_http import PATHS, Hostile
from benchmarks.http_load import post

BROKEN_JSON = (
    b"", b"{", b"[", b"]", b"null", b"0", b'"', b"{}", b"[]", b"NaN", b"-", b"1e999", b"\xff\xfe", b"\xef\xbb\xbf{}",
    b"\0", b'{"instances": [NaN]}', b'{"instances": [1e400]}', b'{"instances": [Infinity]}', b'{"a": 1, "a": 2}',
    b"{'a': 1}", b'{"id": "\\ud800", "inputs": []}', b'{"instances": "\xc3\x28"}',
    b'{"instances": [' + b"9" * 5000 + b"]}",
    b"[" * 100_000, b'{"a":' * 50_000, b'{"instances": ' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"instances": [' + b"1," * 200_000 + b'"' + b"a" * 2000 + b'"]}',  # 1.6 GB if each gets the room of the longest
    b'{"instances": [' + b"[]," * 100_000 + b"[]]}", b"\0[\x001\0]", b"instances=1&inputs=2", b'{"instances": [1]}' * 2,
)  # fmt: skip
VALUES = (
    None, True, False, -1, 0, 1, 256, 1.5, 1e308, 2**31, 2**64, -(2**63), "", "1", "images", "\0", "\ud800",
    "a" * 10_000, [], [[]], [[[]]], [None], ["a", 1], {}, {"b64": 1}, {"b64": "?"}, {"b64": ""}, {"images": []},
    [1] * 100, [[1], [1, 2]],
)  # fmt: skip
PARTS = (
    'Content-Disposition: form-data; name="{name}"; filename="x.png"', "Content-Disposition: form-data", "no colon",
    'Content-Disposition: form-data; name="{name}"', 'Content-Disposition: form-data; filename="../../{name}"', "",
    'Content-Disposition: form-data; name="a"; filename="' + 'a";' * 2000, "Content-Type: image/png",
    "X: y\r\n" * 50 + "A: b", "A: " + "b" * 9000,
)  # fmt: skip


def hostile_requests(seed: int, number: int, image_shape: tuple[int, ...]) -> Iterator[Hostile]:
    """`number` requests to a server of one model named "model"; the same for the same seed."""
    source = random.Random(seed)
    bodies = Bodies(source, image_shape)
    heads = [hostile_http.header, hostile_http.framing, hostile_http.path]
    kinds = [
        bodies.json,
        bodies.tensor,
        bodies.image,
        bodies.damaged_image,
        bodies.form,
        bodies.compressed,
        bodies.good,
    ]
    for _ in range(number):
        kind = source.choice([*heads, *kinds])
        yield kind(source) if kind in heads else kind()


class Bodies:
    """Requests with a body, one method for each kind.

    Args:
        image_shape: what the model takes, (h, w, 3).
    """

    def __init__(self, source: random.Random, image_shape: tuple[int, ...]):
        self.source = source
        self.ordinary, self.hostile = hostile_images.ordinary(), hostile_images.hostile()
        height, width, channels = image_shape
        self.pixels = source.randbytes(height * width * channels)
        tensor = {"name": "images", "shape": [1, *image_shape], "datatype": "UINT8"}
        wanted = [{"name": "logits", "parameters": {"binary_data": False}}]
        file = _as_json(self.ordinary[0])
        self.bodies = (
            (PATHS[0], {"id": "1", "inputs": [tensor | {"data": list(self.pixels)}], "outputs": wanted}),
            (PATHS[1], {"signature_name": "serving_default", "instances": [file]}),
            ("/v1/models/model/versions/1:predict", {"inputs": {"images": [file, file]}}),
            (PATHS[2], {"examples": [{"images": file}]}),
        )
        self.head = {
            "inputs": [tensor | {"parameters": {"binary_data_size": len(self.pixels)}}],
            "parameters": {"binary_data_output": True},
        }

    def good(self) -> Hostile:
        """What every server has to answer: else the others were refused for nothing."""
        path, content = self.source.choice(self.bodies)
        choices = (
            post(path, json.dumps(content).encode(), {}),
            _binary(self.head, self.pixels),
            post("/predict", self.source.choice(self.ordinary), {}),
            b"GET /v2/models/model HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /models HTTP/1.1\r\nHost: localhost\r\n\r\n",
        )
        return Hostile("good", self.source.choice(choices), good=True)

    def json(self) -> Hostile:
        _, content = self.source.choice(self.bodies)
        body = bytearray(json.dumps(content).encode())
        for _ in range(self.source.randint(0, 3)):
            body[self.source.randrange(len(body))] = self.source.choice(b'{}[]",:0\\x\xff')
        end = self.source.randrange(len(body))
        body = self.source.choice([bytes(body), bytes(body[:end]), *BROKEN_JSON])
        return Hostile("JSON", post(self.source.choice(PATHS), body, {"Content-Type": "application/json"}))

    def tensor(self) -> Hostile:
        """A good request with one value changed, taken out or called by another name."""
        if self.source.random() < 0.3:
            pixels = self.pixels[: self.source.choice([None, -1, 0, 1])] + self.source.choice([b"", b"", b"\0"])
            length = self.source.choice([None, None, 0, -1, 1, 10**6, "x", ""])
            return Hostile("shapes and types", _binary(_changed(self.source, self.head), pixels, length))
        path, content = self.source.choice(self.bodies)
        return Hostile("shapes and types", post(path, json.dumps(_changed(self.source, content)).encode(), {}))

    def image(self) -> Hostile:
        return self._send("hostile images", self.source.choice(self.hostile))

    def damaged_image(self) -> Hostile:
        return self._send("damaged images", hostile_images.damaged(self.source, self.source.choice(self.ordinary)))

    def form(self) -> Hostile:
        choose = self.source.choice
        name = choose(["image", "file", "", "a" * 10_000, "\0", "é", '"', "..", "name*9999=x"])
        head = choose(PARTS).replace("{name}", name).encode()
        part = head + b"\r\n\r\n" + choose(self.ordinary) + b"\r\n"
        parts = choose([[part], [part], [part, part], [part] * 50, [], [b"\r\n\r\n" * 3], [part[:20]]])
        end = choose([b"--x--\r\n", b"--x--", b"", b"--x", b"--x--\r\n" + bytes(1000)])
        charset = choose(["", "", *(f"; charset={each}" for each in ("utf-8", "undefined", "punycode", "idna", "x"))])
        boundary = choose(["; boundary=x"] * 5 + ["", "; boundary=", "; boundary=" + "x" * 300, '; boundary="x'])
        body = b"".join(b"--x\r\n" + each for each in parts) + end
        return Hostile("forms", post("/predict", body, {"Content-Type": f"multipart/form-data{boundary}{charset}"}))

    def compressed(self) -> Hostile:
        path, content = self.source.choice(self.bodies)
        body = self.source.choice([json.dumps(content).encode(), bytes(1_000_000), self.ordinary[0]])
        packed = self.source.choice([lambda data: gzip.compress(data, mtime=0), zlib.compress, bytes])(body)
        encoding = self.source.choice(["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "x"])
        return Hostile("compressed", post(path, packed, {"Content-Encoding": encoding}))

    def _send(self, kind: str, image: bytes) -> Hostile:
        """An image in one of the ways in which a server takes it."""
        path = self.source.choice(["/predict", "/predict?top=1", "/explain", PATHS[1], PATHS[2]])
        if path == PATHS[1]:
            return Hostile(kind, post(path, json.dumps({"instances": [_as_json(image)]}).encode(), {}))
        if path == PATHS[2]:
            return Hostile(kind, post(path, json.dumps({"examples": [{"images": _as_json(image)}]}).encode(), {}))
        if self.source.random() < 0.5:
            claimed = self.source.choice(["image/png", "image/jpeg", "text/plain"])
            return Hostile(kind, post(path, image, {"Content-Type": claimed}))
        name = "x." + self.source.choice(["png", "jpg", "exe", "php", "svg", "a" * 200])
        head = f'--x\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode()
        body = head + image + b"\r\n--x--\r\n"
        return Hostile(kind, post(path, body, {"Content-Type": "multipart/form-data; boundary=x"}))


def _as_json(image: bytes) -> dict:
    return {"b64": base64.b64encode(image).decode()}


def _binary(head: dict, pixels: bytes, length=None) -> bytes:
    encoded = json.dumps(head).encode()
    length = len(encoded) if length is None else length
    return post(PATHS[0], encoded + pixels, {"Inference-Header-Content-Length": str(length)})


def _changed(source: random.Random, content: dict) -> dict:
    """A copy in which one value is another, is gone, or has another name."""
    content = copy.deepcopy(content)
    *parents, last = source.choice([path for path in _places(content) if path])
    place = content
    for key in parents:
        place = place[key]
    way = source.randrange(4)
    if way == 0:
        del place[last]
    elif way == 1 and isinstance(place, dict):
        place[source.choice(["", "images", "data", "x", "\0"])] = place.pop(last)
    else:
        place[last] = source.choice(VALUES)
    return content


def _places(value, path: tuple = ()) -> Iterator[tuple]:
    """The way to each value in a JSON value; of long lists to the first three only."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))

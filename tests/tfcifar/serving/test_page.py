"""The page at / without a browser: what its strict policy forbids is not in it, and all that it names is there."""

import re

import pytest

from tfcifar.serving.gate import digest_of

LINK = re.compile(r"(?:src|href)=\"(/[^\"]*)\"|from \"\./([^\"]*)\"")


@pytest.fixture
def client(start):
    return start(keys=(digest_of("a-key-of-some-length"),))  # the page asks for a key, and must load without one


def test_pages_obey_their_own_policy(client):
    for url in ("/", "/docs"):
        response = client.get(url)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", response.text)


def test_everything_that_the_page_loads_is_there_and_of_its_kind(client):
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "json": "application/json"}
    seen, waiting = set(), ["/"]
    while waiting:
        url = waiting.pop()
        seen.add(url)
        response = client.get(url)
        assert response.status_code == 200, url
        if "." in url:
            assert response.headers["Content-Type"].split(";")[0] == kinds[url.rsplit(".", 1)[1]]
        found = [absolute or f"/static/{relative}" for absolute, relative in LINK.findall(response.text)]
        waiting += [each for each in found if each not in seen]
    assert {"/static/app.js", "/static/samples.js", "/static/style.css", "/static/icon.svg", "/docs"} <= seen


def test_every_element_that_the_script_asks_for_is_on_the_page(client):
    ids = set(re.findall(r"id=\"([\w-]+)\"", client.get("/").text))
    asked = set(re.findall(r"\$\(\"([\w-]+)\"\)", client.get("/static/app.js").text))
    assert asked <= ids
    assert set(re.findall(r"(?:for|aria-labelledby)=\"([\w-]+)\"", client.get("/").text)) <= ids

"""docs/deploy.md and deploy/ say what is so: paths, packages, and files that their programs can read.

That its commands are taken and its links lead somewhere: tests/test_documentation.py.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.integration.commands import PROJECT
from tests.tiny_models import write_onnx
from tfcifar import serve

DEPLOY = PROJECT / "deploy"
PAGE = (PROJECT / "docs" / "deploy.md").read_text()
SERVE = re.compile(r"-m tfcifar\.serve ((?:\\\n|[^\n])*)")


def test_the_unit_starts_the_server_with_options_that_it_has():
    (arguments,) = SERVE.findall((DEPLOY / "tfcifar.service").read_text())
    args = serve.parse(shlex.split(arguments.replace("\\\n", " ")))
    assert args.workers > 1  # else a reload would end it
    assert args.host == "127.0.0.1"
    (limit,) = re.findall(r"MemoryMax=(\d+)G", (DEPLOY / "tfcifar.service").read_text())
    assert args.workers * (2 * 22 * args.max_pixels + 150e6) < int(limit) * 2**30
    (stop,) = re.findall(r"TimeoutStopSec=(\d+)", (DEPLOY / "tfcifar.service").read_text())
    assert int(stop) > args.timeout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_systemd_understands_the_unit(tmp_path):
    unit = (DEPLOY / "tfcifar.service").read_text().replace("/opt/tfcifar/.venv/bin/python", sys.executable)
    (tmp_path / "tfcifar.service").write_text(unit)
    command = ["systemd-analyze", "verify", "--man=no", tmp_path / "tfcifar.service"]
    completed = subprocess.run(command, capture_output=True, text=True)
    said = [line for line in completed.stderr.splitlines() if "tfcifar" in line]  # of other units it tells as well
    assert (completed.returncode, said) == (0, [])


def test_the_container_has_what_is_copied_into_it_and_starts_the_server():
    text = (DEPLOY / "Containerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
    allowed = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == allowed
    assert all((PROJECT / path).exists() for path in copied)
    (entry,), (command,) = (re.findall(rf"^{name} (\[.*\])$", text, re.MULTILINE) for name in ("ENTRYPOINT", "CMD"))
    assert json.loads(entry) == ["python", "-m", "tfcifar.serve"]
    assert serve.parse(json.loads(command)).port == 8000
    (number,) = re.findall(r"the (\d+) packages", PAGE)
    assert len(pins(DEPLOY / "requirements.txt")) == int(number)


def pins(path) -> dict[str, str]:
    """Package, its name as PyPI compares it -> version."""
    lines = [line.partition("==") for line in path.read_text().splitlines() if "==" in line and line[0] != "#"]
    return {_normal(name): version for name, _, version in lines}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_containers_packages_are_those_that_were_tested_and_all_that_serving_needs():
    deployed, tested = pins(DEPLOY / "requirements.txt"), pins(PROJECT / "constraints.txt")
    assert {name: version for name, version in deployed.items() if tested.get(name) != version} == {}
    code = """
import sys
from importlib.metadata import packages_distributions
import tfcifar.serve, tfcifar.serving.server, export.open_model, ai_edge_litert.interpreter
loaded = {name.partition(".")[0] for name in sys.modules}
print(*{package for name, packages in packages_distributions().items() if name in loaded for package in packages})
"""
    # Not the package that measures the tests' coverage in there.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )
    assert {_normal(name) for name in completed.stdout.split()} - {"setuptools", "pip"} <= set(deployed)


def test_probes_ask_for_what_the_server_has(tmp_path):
    from export.open_model import open_model
    from tfcifar.serving.app import make_app
    from tfcifar.serving.settings import Settings

    app = make_app(Settings(models=(str(write_onnx(tmp_path / "m.onnx")),)), open_model).app
    texts = [PAGE, *((DEPLOY / name).read_text() for name in ("Containerfile", "nginx.conf", "haproxy.cfg"))]
    paths = {path for text in texts for path in re.findall(r"/v2/health/\w+|/metrics\b", text)}
    assert paths == {"/v2/health/live", "/v2/health/ready", "/metrics"}
    assert paths <= set(app.openapi()["paths"])


def test_the_proxies_leave_connections_before_the_server_does_and_pass_its_largest_bodies():
    from tfcifar.serving.server import IDLE_SECONDS

    defaults = serve.parse(["model.tflite"])
    nginx, haproxy = ((DEPLOY / name).read_text() for name in ("nginx.conf", "haproxy.cfg"))
    assert f"client_max_body_size {defaults.max_body}m;" in nginx
    assert f"req.body_size gt {defaults.max_body * 2**20} " in haproxy
    assert int(re.search(r"\n    keepalive_timeout (\d+)s", nginx)[1]) < IDLE_SECONDS
    assert int(re.search(r"pool-purge-delay (\d+)s", haproxy)[1]) < IDLE_SECONDS
    for text, pattern in ((nginx, r"proxy_read_timeout (\d+)s"), (haproxy, r"timeout server (\d+)s")):
        assert int(re.search(pattern, text)[1]) > defaults.timeout


@pytest.fixture
def certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    key, chain = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=x",
        "-keyout",
        key,
        "-out",
        chain,
    ]
    subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "both.pem").write_text(chain.read_text() + key.read_text())
    return tmp_path


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx")
def test_nginx_understands_its_configuration(certificate):
    site = (DEPLOY / "nginx.conf").read_text().replace("/etc/tfcifar/tls", str(certificate))
    (certificate / "site.conf").write_text(site)
    (certificate / "nginx.conf").write_text(
        f"pid {certificate}/pid; error_log stderr; events {{}} http {{ include {certificate}/site.conf; }}"
    )
    completed = subprocess.run(["nginx", "-t", "-c", certificate / "nginx.conf"], capture_output=True, text=True)
    assert "syntax is ok" in completed.stderr, completed.stderr  # its folders and ports are another matter


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="no HAProxy")
def test_haproxy_understands_its_configuration(certificate):
    text = (DEPLOY / "haproxy.cfg").read_text().replace("/etc/tfcifar/tls", str(certificate))
    (certificate / "haproxy.cfg").write_text(text)
    completed = subprocess.run(["haproxy", "-c", "-f", certificate / "haproxy.cfg"], capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr

"""Servers of fake models, called without a network."""

from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.tfcifar.serving.fake_models import SHAPE, FakeModel
from tfcifar.serving.app import make_app
from tfcifar.serving.settings import Settings


@pytest.fixture
def fake():
    return FakeModel()


@pytest.fixture
def start(tmp_path, fake):
    """start(**settings) -> TestClient of a server with the model `colours`, or others: models=("name.onnx", ...)."""
    clients = []

    def start_client(models=("colours.onnx",), **changes) -> TestClient:
        paths = [tmp_path / name for name in models]
        for path in paths:
            if not path.exists():
                path.write_bytes(b"")
        settings = replace(Settings(models=tuple(map(str, paths)), max_body=100_000, timeout=5.0), **changes)
        client = TestClient(make_app(settings, fake.load), raise_server_exceptions=False)
        clients.append(client.__enter__())
        fake.batches.clear()
        return client

    yield start_client
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(start):
    return start()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, *SHAPE)).astype(np.uint8)

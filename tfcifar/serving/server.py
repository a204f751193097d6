"""Runs the application under uvicorn, in this process or in several on one socket."""

import contextlib
import ctypes
import logging
import logging.config
import math
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from pipelines.errors import InputError
from tfcifar.prediction.opened import Loader
from tfcifar.serving.app import make_app
from tfcifar.serving.gate import Gate
from tfcifar.serving.logs import LOG_CONFIG
from tfcifar.serving.protocol import BoundedHttpProtocol
from tfcifar.serving.settings import MIB, Settings

IDLE_SECONDS = 5  # a connection without a request is closed
HUNG_SECONDS = 30  # a worker that has not answered its parent for so long is replaced
M_MMAP_THRESHOLD = -3  # of glibc's mallopt


def serve(settings: Settings, loader: Loader) -> None:
    """Serve until SIGTERM or SIGINT, then answer what was accepted and return.

    Args:
        loader: a function of a module, which worker processes import by its name.

    Raises:
        InputError: the address cannot be bound, or a model cannot be loaded.
    """
    logging.config.dictConfig(LOG_CONFIG)
    listener = bind(settings.host, settings.port)
    address = f"http://{_printed(settings.host)}:{listener.getsockname()[1]}"
    if settings.workers == 1:
        server = uvicorn.Server(_config(_make_app(settings, loader), settings))
        # Until uvicorn sets this handler itself; and when it has ended gracefully and raises the signal anew: a server
        # that did as told has exit code 0.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        print(f"serving on {address}", flush=True)
        server.run(sockets=[listener])
        return
    with tempfile.TemporaryDirectory() as folder:
        check_models(settings, loader)
        settings = replace(settings, metrics_folder=Path(folder))
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # for the workers, which import prometheus_client anew
        config = _config(partial(_make_app, settings, loader), settings)
        parent = Multiprocess(config, sockets=[listener])  # which handles signals from here on
        print(f"serving on {address} with {settings.workers} workers", flush=True)
        parent.run()


def check_models(settings: Settings, loader: Loader) -> None:
    """Load all models once, in a process of its own whose memory is then free again.

    Without it workers would fail, and be replaced, for ever. Raises InputError.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(_load_once, settings, loader).result()


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket on the address; port 0: any free one. Raises InputError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise InputError(f"--host {host} --port {port}: cannot listen there: {error.strerror}.") from error
    listener.set_inheritable(True)
    return listener


def free_large_blocks() -> None:
    """From now on memory of 1 MiB or more, such as a decoded image, goes back to the system as soon as it is free.

    glibc would raise the bound to 32 MiB by itself and keep what is below: hundreds of MB after two large images.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library; it has ways of its own
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MIB)


def _make_app(settings: Settings, loader: Loader) -> Gate:
    """In the process that will serve it."""
    logging.captureWarnings(True)  # Pillow warns of odd metadata: into the log, as JSON lines
    app = make_app(settings, loader)
    if "tensorflow" not in sys.modules:  # its layers want such memory all the time; LiteRT and ONNX Runtime keep theirs
        free_large_blocks()
    return app


def _load_once(settings: Settings, loader: Loader) -> None:
    make_app(settings, loader)


def _config(app: Gate | partial[Gate], settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, partial),
        workers=settings.workers,
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="on",
        log_config=LOG_CONFIG,
        access_log=False,  # the gate writes its own, with request ids
        proxy_headers=False,  # nobody may say who the client is
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=math.ceil(settings.timeout),
        timeout_worker_healthcheck=HUNG_SECONDS,
    )


def _printed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

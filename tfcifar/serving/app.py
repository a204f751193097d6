"""The application: models, protocols, pages and the gate around them, put together."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser

from tfcifar import __version__
from tfcifar.prediction.opened import Loader
from tfcifar.serving import open_inference, tensorflow_serving, upload
from tfcifar.serving.docs_page import docs_page
from tfcifar.serving.errors import RequestError
from tfcifar.serving.gate import Gate, error_body
from tfcifar.serving.metrics import Metrics
from tfcifar.serving.registry import Registry
from tfcifar.serving.settings import Settings

STATIC = Path(__file__).with_name("static")
DECODERS = 2  # threads: each may hold a decoded image of max_pixels
# Pages load nothing from elsewhere, send nothing there, and stand in no other site's frame.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; object-src 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",
}


def make_app(settings: Settings, loader: Loader) -> Gate:
    """The ASGI application, with all models loaded and warmed up.

    Raises:
        InputError: see `Registry`.
    """
    MultiPartParser.spool_max_size = settings.max_body  # bodies are bounded: none goes to a file for a while
    metrics = Metrics(settings.metrics_folder)
    registry = Registry(settings, loader, metrics)
    decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="decoder")
    explainer = ThreadPoolExecutor(1, thread_name_prefix="explainer")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(registry.watch())
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        await asyncio.to_thread(registry.close)
        decoders.shutdown()
        explainer.shutdown()

    app = FastAPI(
        title="tfcifar",
        version=__version__,
        description="Image classification over HTTP.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(open_inference.make_router(registry))  # first: routes are tried in this order
    app.include_router(tensorflow_serving.make_router(registry, settings, decoders))
    app.include_router(upload.make_router(registry, settings, decoders, explainer))
    _add_pages(app, metrics)
    _add_error_handlers(app)
    return Gate(app, settings, metrics)


def _add_pages(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/metrics", tags=["Operation"], summary="Metrics in Prometheus' text format", response_class=Response)
    async def read_metrics() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()), headers=PAGE_HEADERS)

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=PAGE_HEADERS)

    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _add_error_handlers(app: FastAPI) -> None:
    """Whatever goes wrong, the caller gets the same small JSON; traces are for the log."""

    def respond(request: Request, refused: RequestError) -> Response:
        body = error_body(refused, request.state.request_id)
        return Response(body, refused.status, refused.headers, media_type="application/json")

    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return respond(request, error)

    @app.exception_handler(HTTPException)
    async def http_exception(request: Request, error: HTTPException) -> Response:
        return respond(request, RequestError(error.status_code, str(error.detail), dict(error.headers or {})))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return respond(request, RequestError(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}."))

    @app.exception_handler(Exception)  # Starlette raises it again behind the answer: the gate logs it
    async def internal(request: Request, _: Exception) -> Response:
        return respond(request, RequestError(500, "internal error."))

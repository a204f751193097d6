"""One image file in; the most probable classes out, or where the model looks: for curl, scripts and the web page."""

import asyncio
import io
import math
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile

from tfcifar.evaluation.acceptance import is_foreign
from tfcifar.serving import openapi
from tfcifar.serving.errors import bad_request
from tfcifar.serving.registry import Registry
from tfcifar.serving.settings import Settings
from tfcifar.serving.tensors import image_and_seen_from_file, image_from_file

ModelName = Annotated[str | None, Query(description="default: the first one")]
Version = Annotated[str | None, Query(description="default: the highest one")]


def make_router(registry: Registry, settings: Settings, decoders: Executor, explainer: Executor) -> APIRouter:
    """The routes.

    Args:
        explainer: of one thread: while a network is explained, a layer of it is watched.
    """
    router = APIRouter(tags=["Images"], responses=openapi.ERRORS)

    @router.get("/models", summary="What is served: shapes, class names, cards")
    async def models() -> dict:
        return {"models": [model.describe() for name in registry.names() for model in registry.versions(name)]}

    @router.post("/predict", summary="The most probable classes of an image file", openapi_extra=openapi.UPLOAD)
    async def predict(
        request: Request,
        response: Response,
        model: ModelName = None,
        version: Version = None,
        top: Annotated[int, Query(ge=1, le=1000, description="classes to show")] = 5,
    ) -> dict:
        content = await read_file(request)
        served = registry.get(model, version)
        images, size = await asyncio.get_running_loop().run_in_executor(
            decoders, image_from_file, content, served, settings.max_pixels
        )
        started = time.perf_counter()
        logits = await served.logits(images)
        response.headers["Server-Timing"] = f"model;dur={1000 * (time.perf_counter() - started):.2f}"  # and its queue
        (probabilities,), (foreign,) = served.probabilities(logits), is_foreign(logits, served.acceptance)
        order = np.argsort(-probabilities, kind="stable")[:top]
        return {
            "model": served.name,
            "version": str(served.version),
            "calibrated": served.calibrated,
            "image": {"height": size[0], "width": size[1]},
            "classes": [{"name": served.class_names[i], "probability": float(probabilities[i])} for i in order],
            "uncertainty": uncertainty(probabilities),
            "foreign": foreign,
        }

    @router.post("/explain", summary="Where the model looks: a PNG with the Grad-CAM of the most probable class",
                 openapi_extra=openapi.UPLOAD, response_class=Response,
                 responses={200: {"content": {"image/png": {}}}})  # fmt: skip
    async def explain(request: Request, model: ModelName = None, version: Version = None) -> Response:
        content = await read_file(request)
        served = registry.get(model, version)
        if served.explain is None:
            raise bad_request(f"model: {served.name} gives no gradients; runs and .keras files with feature maps do.")
        loop = asyncio.get_running_loop()
        images, seen = await loop.run_in_executor(
            decoders, image_and_seen_from_file, content, served, settings.max_pixels
        )
        logits = await served.logits(images)
        png = await loop.run_in_executor(explainer, _overlay, served.explain, seen, images, logits.argmax(-1))
        return Response(png, media_type="image/png")

    return router


def uncertainty(probabilities: np.ndarray) -> float:
    """The entropy of [k] probabilities as a share of the highest there can be: 0 (sure) to 1 (all are equal)."""
    if len(probabilities) == 1:
        return 0.0
    present = probabilities[probabilities > 0]
    return float(-(present * np.log(present)).sum() / math.log(len(probabilities)))


def _overlay(
    explain: Callable[[np.ndarray, np.ndarray], np.ndarray],
    seen: np.ndarray,
    images: np.ndarray,
    classes: np.ndarray,
) -> bytes:
    from tfcifar.explain.overlay import overlay  # with Matplotlib's colours

    stream = io.BytesIO()
    overlay(seen, explain(images, classes)[0]).save(stream, "PNG")
    return stream.getvalue()


async def read_file(request: Request) -> bytes:
    """The one file of a form, or the whole body. Raises RequestError."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        content = await request.body()
    elif options.get(b"charset", b"utf-8").lower() != b"utf-8":  # Python knows some that take minutes, or fail
        raise bad_request("content-type: expected charset=utf-8 or none in a form, received another.")
    else:
        async with request.form(max_files=1, max_fields=10) as form:
            files = [value for value in form.values() if isinstance(value, UploadFile)]
            if len(files) != 1:
                raise bad_request("form: expected one file, named image.")
            content = await files[0].read()
    if not content:
        raise bad_request("body: expected an image file, received nothing.")
    return content

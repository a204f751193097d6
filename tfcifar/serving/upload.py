"""One image file in, the most probable classes out: what curl, a script or the web page sends."""

import asyncio
from concurrent.futures import Executor
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.datastructures import UploadFile

from tfcifar.serving import openapi
from tfcifar.serving.errors import bad_request
from tfcifar.serving.registry import Registry
from tfcifar.serving.settings import Settings
from tfcifar.serving.tensors import image_from_file


def make_router(registry: Registry, settings: Settings, decoders: Executor) -> APIRouter:
    router = APIRouter(tags=["Images"], responses=openapi.ERRORS)

    @router.get("/models", summary="What is served: shapes, class names, cards")
    async def models() -> dict:
        return {"models": [model.describe() for name in registry.names() for model in registry.versions(name)]}

    @router.post("/predict", summary="The most probable classes of an image file", openapi_extra=openapi.UPLOAD)
    async def predict(
        request: Request,
        model: Annotated[str | None, Query(description="default: the first one")] = None,
        version: Annotated[str | None, Query(description="default: the highest one")] = None,
        top: Annotated[int, Query(ge=1, le=1000, description="classes to show")] = 5,
    ) -> dict:
        content = await read_file(request)
        served = registry.get(model, version)
        images, size = await asyncio.get_running_loop().run_in_executor(
            decoders, image_from_file, content, served, settings.max_pixels
        )
        (probabilities,) = served.probabilities(await served.logits(images))
        order = np.argsort(-probabilities, kind="stable")[:top]
        return {
            "model": served.name,
            "version": str(served.version),
            "calibrated": served.calibrated,
            "image": {"height": size[0], "width": size[1]},
            "classes": [{"name": served.class_names[i], "probability": float(probabilities[i])} for i in order],
        }

    return router


async def read_file(request: Request) -> bytes:
    """The one file of a form, or the whole body. Raises RequestError."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        content = await request.body()
    else:
        async with request.form(max_files=1, max_fields=10) as form:
            files = [value for value in form.values() if isinstance(value, UploadFile)]
            if len(files) != 1:
                raise bad_request("form: expected one file, named image.")
            content = await files[0].read()
    if not content:
        raise bad_request("body: expected an image file, received nothing.")
    return content

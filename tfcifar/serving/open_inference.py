"""The Open Inference Protocol, version 2, over HTTP, with binary tensors: what `tritonclient[http]` speaks.

Source: https://github.com/kserve/open-inference-protocol and Triton's extension "binary_tensor_data".
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from tfcifar import __version__
from tfcifar.serving import openapi
from tfcifar.serving.errors import RequestError, bad_request
from tfcifar.serving.registry import Registry
from tfcifar.serving.served import ServedModel
from tfcifar.serving.tensors import images_from_bytes, images_from_json, read_json_object

INPUT, OUTPUT = "images", "logits"
HEADER_LENGTH = "Inference-Header-Content-Length"  # bytes of JSON before the binary tensors


@dataclass(frozen=True)
class Inference:
    """A request that was understood: uint8 [n, *image_shape], its id, and whether logits go back as binary data."""

    images: np.ndarray
    id: str | None
    binary: bool


def make_router(registry: Registry) -> APIRouter:
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"], responses=openapi.ERRORS)

    @router.post("/models/{name}/infer", summary="Logits of images", openapi_extra=openapi.INFER)
    @router.post("/models/{name}/versions/{version}/infer", summary="Logits of images, by a version",
                 openapi_extra=openapi.INFER)  # fmt: skip
    async def infer(request: Request, name: str, version: str | None = None) -> Response:
        body = await request.body()
        model = registry.get(name, version)  # after the body: it may have taken its time
        inference = read_inference(body, request.headers.get(HEADER_LENGTH), model)
        logits = await model.logits(inference.images)
        return _respond(inference, logits, model)

    @router.get("", summary="Name, version and extensions of the server")
    async def server_metadata() -> dict:
        return {"name": "tfcifar", "version": __version__, "extensions": ["binary_tensor_data"]}

    @router.get("/health/live", summary="Whether the process answers")
    async def live() -> dict:
        return {"live": True}

    @router.get("/health/ready", summary="Whether there are models that take requests")
    async def ready() -> dict:
        if not registry.models:
            raise RequestError(503, "no model is loaded.")
        return {"ready": True}

    @router.get("/models/{name}", summary="Inputs and outputs of a model")
    @router.get("/models/{name}/versions/{version}", summary="Inputs and outputs of a version")
    async def model_metadata(name: str, version: str | None = None) -> dict:
        return _metadata(registry.get(name, version), registry)

    @router.get("/models/{name}/ready", summary="Whether a model takes requests")
    @router.get("/models/{name}/versions/{version}/ready", summary="Whether a version takes requests")
    async def model_ready(name: str, version: str | None = None) -> dict:
        return {"name": registry.get(name, version).name, "ready": True}

    return router


def read_inference(body: bytes, header_length: str | None, model: ServedModel) -> Inference:
    """Understand the body of an infer request.

    Args:
        header_length: the value of Inference-Header-Content-Length; None: all of the body is JSON.

    Raises:
        RequestError: it is not such a request, or not one for this model.
    """
    size = len(body)
    if header_length is not None:
        if not re.fullmatch(r"[0-9]{1,18}", header_length) or int(header_length) > size:
            raise bad_request(f"{HEADER_LENGTH}: expected 0 to {size}, the bytes of JSON, received another value.")
        size = int(header_length)
    content = read_json_object(body[:size])
    parameters = _parameters(content)
    (tensor,) = _objects(content, "inputs", 1)
    if tensor.get("name") != INPUT or tensor.get("datatype") != "UINT8":
        raise bad_request(f'inputs: expected one named "{INPUT}" of datatype UINT8.')
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(each) is int and 0 <= each < 2**31 for each in shape) or not shape:
        raise bad_request("shape: expected a list of whole numbers.")
    binary_size = _parameters(tensor).get("binary_data_size")
    if binary_size is None:
        if size != len(body):
            raise bad_request("binary data: expected none: no input has a binary_data_size.")
        images = images_from_json(tensor.get("data"), model, shape)
    else:
        if type(binary_size) is not int or binary_size != len(body) - size:
            raise bad_request(f"binary_data_size: expected {len(body) - size}, the bytes after the JSON.")
        images = images_from_bytes(memoryview(body)[size:], shape, model)
    outputs = _objects(content, "outputs", None)
    binary = parameters.get("binary_data_output", False)
    for output in outputs:
        if output.get("name") != OUTPUT:
            raise bad_request(f'outputs: expected "{OUTPUT}".')
        chosen = _parameters(output)
        if "classification" in chosen or "shared_memory_region" in chosen:
            raise bad_request("outputs: classification and shared memory are not supported.")
        binary = chosen.get("binary_data", binary)
    request_id = content.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise bad_request("id: expected a text.")
    return Inference(images, request_id, bool(binary))


def _parameters(content: dict) -> dict:
    parameters = content.get("parameters", {})
    if not isinstance(parameters, dict):
        raise bad_request("parameters: expected a JSON object.")
    return parameters


def _objects(content: dict, key: str, number: int | None) -> list[dict]:
    """The list of objects under `key`; `number` None: it may be left out."""
    found: Any = content.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise bad_request(f"{key}: expected a list of JSON objects.")
    if number is not None and len(found) != number:
        raise bad_request(f"{key}: expected {number}, received {len(found)}.")
    return found


def _respond(inference: Inference, logits: np.ndarray, model: ServedModel) -> Response:
    output: dict[str, Any] = {"name": OUTPUT, "datatype": "FP32", "shape": logits.shape}
    content = {"model_name": model.name, "model_version": str(model.version), "outputs": [output]}
    if inference.id is not None:
        content["id"] = inference.id
    if not inference.binary:
        output["data"] = logits.ravel().tolist()
        return Response(json.dumps(content), media_type="application/json")
    raw = np.ascontiguousarray(logits, "<f4").tobytes()
    output["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps(content).encode()
    return Response(head + raw, headers={HEADER_LENGTH: str(len(head))}, media_type="application/octet-stream")


def _metadata(model: ServedModel, registry: Registry) -> dict:
    return {
        "name": model.name,
        "versions": [str(each.version) for each in registry.versions(model.name)],
        "platform": model.platform,
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, *model.image_shape]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, model.num_classes]}],
    }

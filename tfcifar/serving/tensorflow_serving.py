"""TensorFlow Serving's REST API, for clients that were written for it.

Source: https://www.tensorflow.org/tfx/serving/api_rest. A signature `serving_default` takes `images` and gives
`logits`; where that API sends strings, {"b64": ...} is an image file of any size.
"""

import asyncio
import json
from concurrent.futures import Executor
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from tfcifar.serving import openapi
from tfcifar.serving.errors import bad_request
from tfcifar.serving.registry import Registry
from tfcifar.serving.served import ServedModel
from tfcifar.serving.settings import Settings
from tfcifar.serving.tensors import decode_base64, image_from_file, images_from_json, read_json_object

INPUT, OUTPUT, SIGNATURE = "images", "logits", "serving_default"
# uint8 [n, *image_shape]; or, where there are image files, for each instance uint8 [1, *image_shape] or a file's bytes.
# Functions that wait for nothing read them: the JSON, up to 25 times its bytes, is gone before anything is awaited.
Instances = np.ndarray | list[np.ndarray | bytes]


def make_router(registry: Registry, settings: Settings, decoders: Executor) -> APIRouter:
    router = APIRouter(prefix="/v1/models", tags=["TensorFlow Serving"], responses=openapi.ERRORS)

    async def decode(instances: Instances, model: ServedModel) -> np.ndarray:
        """uint8 [n, *image_shape]. Files are decoded beside the event loop."""
        if isinstance(instances, np.ndarray):
            return instances
        loop = asyncio.get_running_loop()
        images = []
        for each in instances:
            if isinstance(each, bytes):
                each, _ = await loop.run_in_executor(decoders, image_from_file, each, model, settings.max_pixels)
            images.append(each)
        return np.concatenate(images)

    @router.post("/{name}:predict", summary="Logits of images", openapi_extra=openapi.PREDICT)
    @router.post("/{name}/versions/{version}:predict", summary="Logits of images, by a version",
                 openapi_extra=openapi.PREDICT)  # fmt: skip
    async def predict(request: Request, name: str, version: str | None = None) -> Response:
        body = await request.body()
        model = registry.get(name, version)
        rows, instances = _read_predict(body, model)
        logits = await model.logits(await decode(instances, model))
        answer = {"predictions" if rows else "outputs": logits.tolist()}
        return Response(json.dumps(answer), media_type="application/json")

    @router.post("/{name}:classify", summary="Classes and probabilities of images", openapi_extra=openapi.CLASSIFY)
    @router.post("/{name}/versions/{version}:classify", summary="Classes and probabilities of images, by a version",
                 openapi_extra=openapi.CLASSIFY)  # fmt: skip
    async def classify(request: Request, name: str, version: str | None = None) -> dict:
        body = await request.body()
        model = registry.get(name, version)
        logits = await model.logits(await decode(_read_classify(body, model), model))
        probabilities = model.probabilities(logits)
        return {"result": [_labelled(row, model.class_names) for row in probabilities]}

    @router.get("/{name}", summary="Versions of a model and their states")
    @router.get("/{name}/versions/{version}", summary="State of a version")
    async def status(name: str, version: str | None = None) -> dict:
        models = registry.versions(name) if version is None else [registry.get(name, version)]
        return {"model_version_status": [_status(model) for model in reversed(models)]}

    @router.get("/{name}/metadata", summary="Signature of a model")
    @router.get("/{name}/versions/{version}/metadata", summary="Signature of a version")
    async def metadata(name: str, version: str | None = None) -> dict:
        return _metadata(registry.get(name, version))

    return router


def _read_predict(body: bytes, model: ServedModel) -> tuple[bool, Instances]:
    """Whether the instances came as rows, and the instances."""
    content = read_json_object(body)
    _check_signature(content)
    rows = "instances" in content
    if rows == ("inputs" in content):
        raise bad_request('body: expected either "instances" (rows) or "inputs" (columns).')
    return rows, _read_instances(content["instances"] if rows else _unnamed(content["inputs"]), model)


def _read_classify(body: bytes, model: ServedModel) -> Instances:
    content = read_json_object(body)
    _check_signature(content)
    if not isinstance(content.get("examples"), list):
        raise bad_request("examples: expected a list.")
    if "context" in content:
        raise bad_request("context: not supported; put the image into each example.")
    return _read_instances(content["examples"], model)


def _read_instances(value: Any, model: ServedModel) -> Instances:
    if not isinstance(value, list) or not any(isinstance(each, dict) for each in value):
        return images_from_json(value, model)
    if len(value) > model.max_images:
        raise bad_request(f"expected at most {model.max_images} images in a request, received {len(value)}.")
    return [
        decode_base64(each.get("b64")) if isinstance(each, dict) else images_from_json([each], model)
        for each in map(_unnamed, value)
    ]


def _unnamed(value: Any) -> Any:
    """What stands under the one name that the signature has: {"images": x} -> x, and x itself without it."""
    return value[INPUT] if isinstance(value, dict) and list(value) == [INPUT] else value


def _check_signature(content: dict) -> None:
    if content.get("signature_name", SIGNATURE) not in (SIGNATURE, ""):
        raise bad_request(f"signature_name: expected {SIGNATURE}.")


def _labelled(probabilities: np.ndarray, class_names: list[str]) -> list[list]:
    order = np.argsort(-probabilities, kind="stable")
    return [[class_names[index], float(probabilities[index])] for index in order]


def _status(model: ServedModel) -> dict:
    return {
        "version": str(model.version),
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }


def _metadata(model: ServedModel) -> dict:
    signature = {
        "inputs": {INPUT: _tensor(INPUT, "DT_UINT8", model.image_shape)},
        "outputs": {OUTPUT: _tensor(OUTPUT, "DT_FLOAT", (model.num_classes,))},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(model.version)},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def _tensor(name: str, dtype: str, shape: tuple[int, ...]) -> dict:
    sizes = [{"size": str(size), "name": ""} for size in (-1, *shape)]
    return {"dtype": dtype, "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": f"{name}:0"}

"""What the OpenAPI page says of bodies that are read by hand, for speed and because some are binary."""

from typing import Any

ERROR = {
    "type": "object",
    "required": ["error", "request_id"],
    "properties": {"error": {"type": "string"}, "request_id": {"type": "string"}},
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": ERROR}}}
    for status, text in (
        ("4XX", "The request cannot be answered as it is; `error` says why. 429: too busy, see Retry-After."),
        ("5XX", "The server cannot answer now; the log has more under the request's id."),
    )
}
PIXELS = {"type": "array", "description": "nested lists of numbers 0..255: [height][width][red, green, blue]",
          "items": {"type": "array", "items": {"type": "array", "items": {"type": "integer", "minimum": 0,
                                                                           "maximum": 255}}}}  # fmt: skip
FILE = {
    "type": "object",
    "required": ["b64"],
    "properties": {"b64": {"type": "string", "format": "byte", "description": "an image file in base64"}},
}
IMAGE = {"anyOf": [PIXELS, FILE]}


def _json_body(schema: dict) -> dict:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


INFER = _json_body(
    {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object", "properties": {"binary_data_output": {"type": "boolean"}}},
            "inputs": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": {
                    "type": "object",
                    "required": ["name", "shape", "datatype"],
                    "properties": {
                        "name": {"const": "images"},
                        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 4,
                                  "maxItems": 4},
                        "datatype": {"const": "UINT8"},
                        "parameters": {"type": "object", "properties": {"binary_data_size": {"type": "integer"}}},
                        "data": {"type": "array", "description": "numbers 0..255, nested or flat"},
                    },
                },
            },
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"const": "logits"},
                        "parameters": {"type": "object", "properties": {"binary_data": {"type": "boolean"}}},
                    },
                },
            },
        },
    }
)  # fmt: skip
INFER["requestBody"]["content"]["application/octet-stream"] = {
    "schema": {
        "type": "string",
        "format": "binary",
        "description": "the JSON, then the raw tensor; Inference-Header-Content-Length says where the JSON ends",
    }
}
PREDICT = _json_body(
    {
        "type": "object",
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
        "properties": {
            "signature_name": {"const": "serving_default"},
            "instances": {"type": "array", "minItems": 1, "items": IMAGE},
            "inputs": {"type": "array", "minItems": 1, "items": IMAGE, "description": "the same, column by column"},
        },
    }
)
CLASSIFY = _json_body(
    {
        "type": "object",
        "required": ["examples"],
        "properties": {
            "signature_name": {"const": "serving_default"},
            "examples": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "required": ["images"], "properties": {"images": IMAGE}},
            },
        },
    }
)
UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
            **{f"image/{kind}": {"schema": {"type": "string", "format": "binary"}}
               for kind in ("png", "jpeg", "webp", "bmp")},
        },
    }
}  # fmt: skip

"""What a caller is told when a request cannot be answered: a status and one line, never a stack trace."""

import math


class RequestError(Exception):
    """Ends a request with `status` and the JSON {"error": message, "request_id": ...}."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def bad_request(message: str) -> RequestError:
    return RequestError(400, message)


def busy(message: str, seconds: float = 0.0) -> RequestError:
    """429; `seconds` is how long it will probably take until there is room."""
    return RequestError(429, message, {"Retry-After": str(max(1, math.ceil(seconds)))})

"""Logs as JSON lines on stderr, uvicorn's among them: {"time", "level", "event", ...} each."""

import json
import logging
import time


class JsonLines(logging.Formatter):
    """One JSON object a line. Fields come with `extra={"fields": {...}}`; a stack trace stays in the log."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": record.process,
            "event": record.getMessage().strip(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


# For logging.config.dictConfig; uvicorn sets it up in every process that it starts.
LOG_CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonLines}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "loggers": {
        name: {"handlers": ["stderr"], "level": "INFO", "propagate": False} for name in ("tfcifar.serving", "uvicorn")
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},  # of libraries, such as the parser of forms
}

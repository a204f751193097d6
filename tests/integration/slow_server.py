"""`python -m tests.integration.slow_server ...`: tfcifar.serve with models that take SECONDS for each batch."""

import os
import time
from dataclasses import replace
from unittest import mock

from export import open_model
from tfcifar import cli, serve

open_artifact = open_model.open_model


def open_slowly(path, threads):
    opened = open_artifact(path, threads)

    def run(images):
        time.sleep(float(os.environ["SECONDS"]))
        return opened.run(images)

    return replace(opened, run=run)


if __name__ == "__main__":
    with mock.patch.object(open_model, "open_model", open_slowly):
        cli.run(serve.main)

"""The directive `command-help`: what `python -m MODULE --help` prints, asked of the module itself."""

import contextlib
import importlib
import io
import os
from types import ModuleType
from unittest import mock

from docutils import nodes
from docutils.parsers.rst import Directive

WIDTH = 100  # characters a line; argparse would ask the terminal


class CommandHelp(Directive):
    required_arguments = 1  # the module
    optional_arguments = 1  # a command of it

    def run(self) -> list[nodes.Node]:
        return [nodes.literal_block("", help_of(*self.arguments), language="text")]


def help_of(module: str, *command: str) -> str:
    printed = io.StringIO()
    parse = entry_point(module).parse
    with mock.patch.dict(os.environ, COLUMNS=str(WIDTH)), contextlib.redirect_stdout(printed):
        try:
            parse([*command, "--help"])
        except SystemExit as end:
            if end.code:
                raise
    return printed.getvalue()


def entry_point(module: str) -> ModuleType:
    """What `python -m MODULE` runs: of a package, its `__main__`."""
    found = importlib.import_module(module)
    return importlib.import_module(f"{module}.__main__") if hasattr(found, "__path__") else found


def setup(app) -> dict:
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

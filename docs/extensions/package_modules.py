"""The directive `package-modules`: the docstrings of a package's modules, by autodoc, on one page."""

import importlib
import pkgutil
import re
import sys
from typing import TypeVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

# What reStructuredText would take for markup. Docstrings here are plain text: these stand for themselves.
MARKUP = re.compile(r"(`[^`]*`)|([*|]|(?<=\w)_(?!\w))")


class PackageModules(SphinxDirective):
    """Of the package itself, and in a section for each of the modules in it; the packages in it have their own."""

    required_arguments = 1  # the package

    def run(self) -> list[nodes.Node]:
        package = self.arguments[0]
        whole = nodes.container()
        self._document(package, whole)
        for module in modules_in(package):
            section = nodes.section(ids=[nodes.make_id(f"module {module}")], names=[module])
            section += nodes.title("", "", nodes.literal("", module))
            self._document(module, section)
            whole += section
        return whole.children

    def _document(self, module: str, parent: nodes.Element) -> None:
        text = StringList(["```{eval-rst}", f".. automodule:: {module}", "```"], source=self.get_source_info()[0])
        self.state.nested_parse(text, self.content_offset, parent)


def modules_in(package: str) -> list[str]:
    """Without `__main__`: what it does is on the page of the commands."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    return [each.name for each in found if not each.ispkg and not each.name.endswith(".__main__")]


def mark_code(app, what, name, obj, options, lines: list[str]) -> None:
    """Indented lines behind an empty one are code, as in Markdown; sections such as `Args:` have no empty line."""
    marked, before = [], ""
    for line in lines:
        if line.startswith("    ") and marked and not marked[-1] and not before.startswith("    "):
            marked += ["::", ""]
        marked.append(line)
        before = line or before
    lines[:] = marked


def escape_markup(app, what, name, obj, options, lines: list[str]) -> None:
    in_code = False
    for number, line in enumerate(lines):
        if line and not line.startswith("    "):
            in_code = line == "::"
        if not in_code:
            lines[number] = MARKUP.sub(lambda match: match[1] or "\\" + match[2], line)


def leave_type_variables(app, env, node, content):
    """A type variable in a signature is no broken reference, though it has no entry of its own."""
    module, _, name = node.get("reftarget", "").rpartition(".")
    return content if isinstance(getattr(sys.modules.get(module), name, None), TypeVar) else None


def setup(app) -> dict:
    app.add_directive("package-modules", PackageModules)
    app.connect("autodoc-process-docstring", mark_code, priority=400)  # before napoleon, which makes other indents
    app.connect("autodoc-process-docstring", escape_markup, priority=900)  # after it, because it reads `*args`
    app.connect("missing-reference", leave_type_variables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

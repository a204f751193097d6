"""The directive `recipe-fields`: every field of a recipe with its default and the comment beside it, part by part."""

import ast
import dataclasses
import inspect
import textwrap
import typing

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from tfcifar.recipe import Recipe


class RecipeFields(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        kinds = typing.get_type_hints(Recipe)
        parts = [each.name for each in dataclasses.fields(Recipe) if dataclasses.is_dataclass(kinds[each.name])]
        return [self._section("recipe", Recipe), *(self._section(name, kinds[name]) for name in parts)]

    def _section(self, name: str, part: type) -> nodes.section:
        section = nodes.section(ids=[nodes.make_id(f"recipe {name}")], names=[name])
        section += nodes.title("", name)
        docstring = ast.get_docstring(class_of(part)) or ""
        lines = docstring.partition("\n\nRaises:")[0].splitlines()
        self.state.nested_parse(StringList(lines, source=inspect.getsourcefile(part)), self.content_offset, section)
        section += nodes.literal_block("", fields_of(part), language="python")
        return section


def class_of(part: type) -> ast.ClassDef:
    return typing.cast(ast.ClassDef, ast.parse(inspect.getsource(part)).body[0])


def fields_of(part: type) -> str:
    """The lines of a dataclass between its docstring and its first method."""
    node = class_of(part)
    first = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
    last = min(each.lineno for each in node.body if isinstance(each, ast.FunctionDef)) - 1
    return textwrap.dedent("\n".join(inspect.getsource(part).splitlines()[first:last])).strip()


def setup(app) -> dict:
    app.add_directive("recipe-fields", RecipeFields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

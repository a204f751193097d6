"""The OpenAPI description as one plain page: nothing is loaded from elsewhere."""

import json
from html import escape

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} {version}: API</title><link rel="stylesheet" href="/static/docs.css"></head>
<body>
<h1>{title} {version}</h1>
<p>{description} For machines: <a href="/openapi.json">openapi.json</a>.</p>
{operations}
</body>
</html>
"""
OPERATION = """<details><summary><b>{method}</b> <code>{path}</code> {summary}</summary>
{parts}
</details>"""


def docs_page(openapi: dict) -> str:
    """HTML of an OpenAPI 3.1 document."""
    groups: dict[str, list[str]] = {}
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["Other"])[0]
            groups.setdefault(tag, []).append(_operation(method, path, operation))
    operations = "\n".join(f"<h2>{escape(tag)}</h2>\n" + "\n".join(each) for tag, each in groups.items())
    return PAGE.format(operations=operations, **{key: escape(value) for key, value in openapi["info"].items()})


def _operation(method: str, path: str, operation: dict) -> str:
    parts = []
    if operation.get("parameters"):
        items = "\n".join(
            f"<li><code>{escape(each['name'])}</code> ({escape(each['in'])}"
            f"{', required' if each.get('required') else ''}) {escape(each.get('description', ''))}</li>"
            for each in operation["parameters"]
        )
        parts.append(f"<h3>Parameters</h3>\n<ul>\n{items}\n</ul>")
    if "requestBody" in operation:
        parts += [
            f"<h3>Body: <code>{escape(kind)}</code></h3>\n<pre>{escape(json.dumps(content['schema'], indent=2))}</pre>"
            for kind, content in operation["requestBody"]["content"].items()
        ]
    answers = "\n".join(
        f"<li><code>{escape(status)}</code> {escape(answer['description'])}</li>"
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<h3>Answers</h3>\n<ul>\n{answers}\n</ul>")
    return OPERATION.format(
        method=escape(method.upper()),
        path=escape(path),
        summary=escape(operation.get("summary", "")),
        parts="\n".join(parts),
    )

"""The pages say what is so: links lead somewhere, commands are taken, the site and the notebook are without fault."""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from command_help import entry_point, help_of  # of docs/extensions
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from nbclient import NotebookClient

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
NOTEBOOK = DOCS / "quickstart.ipynb"
PAGES = [PROJECT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)]
PACKAGES = ("pipelines", "tfcifar", "tuner", "export")
COMMAND = re.compile(r"python -m ((?:tfcifar|tuner|export|benchmarks)[\w.]*) ?([^\n`|]*)")
# Modules with a `main` that only another process of this project starts.
STARTED_BY_OTHERS = {"export.benchmark_child", "export.op_profile", "tuner.child"}


def parsed(page: Path) -> list:
    """The page's Markdown tokens, headings with the ids that GitHub and the site give them."""
    return MarkdownIt().enable("table").use(anchors_plugin, max_level=6).parse(page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    inline = [child for token in parsed(page) for child in token.children or []]
    targets = [
        str(each.attrGet("href") or each.attrGet("src")) for each in inline if each.type in ("link_open", "image")
    ]
    return [target for target in targets if not re.match(r"\w+:", target)]


@pytest.mark.parametrize("page", [*PAGES, PROJECT / "CONTRIBUTING.md"], ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_inside_the_project_leads_somewhere(page):
    for link in links(page):
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if heading:
            assert heading in {token.attrGet("id") for token in parsed(target)}, link


def check_commands(text: str) -> None:
    for module, options in COMMAND.findall(text.replace("\\\n", " ")):
        arguments = shlex.split(options, comments=True)
        if not arguments or "..." in arguments:  # it is only named
            continue
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                entry_point(module).parse(arguments)
        except SystemExit:
            pytest.fail(f"{module} {options}: {said.getvalue().splitlines()[-1]}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_every_command_on_a_page_is_taken_by_its_parser(page):
    check_commands(page.read_text(encoding="utf-8"))


def test_every_command_on_record_is_taken_by_its_parser():
    for each in json.loads((PROJECT / "results" / "summary.json").read_text()):
        check_commands(each["command"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it, each warning an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", str(DOCS), str(folder)]
    # A coverage measured around this test would take as long again, and learn nothing of what is imported there.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    completed = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    return folder


def text_of(page: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8")))


def test_the_site_has_help_docstrings_fields_and_figures_of_what_there_is_now(site):
    commands = text_of(site / "reference" / "commands.html")
    assert "python -m tfcifar.train [-h]" in commands
    recipes = text_of(site / "reference" / "recipes.html")
    assert "ema_decay: float | None = None # per step" in recipes
    assert "Scale an image to cover height x width" in text_of(site / "reference" / "pipelines.html")
    summary = json.loads((PROJECT / "results" / "summary.json").read_text())
    (level_1,) = [each for each in summary if (each["name"], each["metric"]) == ("level_1", "test_accuracy")]
    assert f"{level_1['value']:.2%}" in text_of(site / "tutorials" / "level_1.html")
    address = re.search(r'href="([^"]*/README\.md)"', (site / "index.html").read_text())[1]
    assert (site / address).resolve() == PROJECT / "README.md"


def test_every_command_has_its_place_in_the_reference_and_its_own_name_and_so_has_every_package():
    named = set(re.findall(r"\{command-help\} ([\w.]+)", (DOCS / "reference" / "commands.md").read_text()))
    files = [path for package in (*PACKAGES, "benchmarks") for path in (PROJECT / package).rglob("*.py")]
    commands = {dotted(path) for path in files if '__name__ == "__main__"' in path.read_text()}
    assert named == commands - STARTED_BY_OTHERS
    assert [module for module in named if not help_of(module).startswith(f"usage: python -m {module} ")] == []
    pages = "".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    packages = {dotted(path) for path in files if path.name == "__init__.py" and path.parent.name != "benchmarks"}
    assert set(re.findall(r"\{package-modules\} ([\w.]+)", pages)) == packages


def dotted(path: Path) -> str:
    module = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
    return re.sub(r"\.__(main|init)__$", "", module)


def test_a_link_to_a_file_that_is_not_there_fails_the_build(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (tmp_path / "there.py").touch()
    path = f"import sys; sys.path.insert(0, {str(DOCS / 'extensions')!r})"
    (docs / "conf.py").write_text(f"{path}\nextensions = ['myst_parser', 'links_to_sources']\n")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-D", "repository=https://example.com/main"]
    (docs / "index.md").write_text("# Page\n\n[one](../there.py)\n")
    completed = subprocess.run([*build, docs, tmp_path / "site"], capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    assert 'href="https://example.com/main/there.py"' in (tmp_path / "site" / "index.html").read_text()
    (docs / "index.md").write_text("# Page\n\n[two](../gone.py), [three](../gone.md), [four](gone.md), [five](#gone)\n")
    completed = subprocess.run([*build, docs, tmp_path / "site"], capture_output=True, text=True)
    assert completed.returncode == 1
    assert len(re.findall(r"WARNING: .*gone", completed.stderr)) == 4, completed.stderr


def test_the_notebook_runs_from_its_first_cell_to_its_last_and_is_kept_without_outputs(tmp_path, monkeypatch):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
    monkeypatch.setenv("TFCIFAR_QUICKSTART", "--recipe smoke --preset cpu --set data.image_size=12")
    monkeypatch.setenv("TFCIFAR_QUICKSTART_RUN", str(tmp_path / "run"))
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(DOCS)}}).execute()
    outputs = [output for cell in code for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert f"{metrics['accuracy']:.2%} of 1,000 test images" in printed
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 3
    assert "star.png" in printed


def test_the_citation_names_this_version():
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert (citation["title"], citation["version"]) == (project["name"], project["version"])
    assert f"*{project['name']}*, version {project['version']}." in (PROJECT / "README.md").read_text()

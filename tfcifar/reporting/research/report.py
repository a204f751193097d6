"""The research report as a whole: which sections, in which order, into which files."""

from pathlib import Path

from tfcifar.reporting.research.closing import add_closing, add_cost, add_sources
from tfcifar.reporting.research.document import Document
from tfcifar.reporting.research.errors import add_errors
from tfcifar.reporting.research.evidence import load_evidence
from tfcifar.reporting.research.front import add_front
from tfcifar.reporting.research.pages import write_page
from tfcifar.reporting.research.pdf import write_pdf
from tfcifar.reporting.research.protocol import add_protocol
from tfcifar.reporting.research.record import check_recordable, record_report
from tfcifar.reporting.research.results import add_results
from tfcifar.reporting.research.systems import add_systems
from tfcifar.reporting.research.trust import add_trust
from tfcifar.reporting.tables import in_words


def write_research_report(paths: list[Path], output: Path, record: str | None = None) -> int:
    """Write report.html, report.pdf and figures/ into `output`; return the number of pages.

    Args:
        paths: evaluated runs and ensembles, and folders of tfcifar.ablation and tfcifar.data_quality.
        record: name under which to put it on record, see `record_report`; None: not at all.

    Raises:
        InputError: see `load_evidence` and `check_recordable`.
    """
    evidence = load_evidence(paths)
    if record:
        check_recordable(evidence)
    document = Document(
        f"Accuracy, calibration and robustness of {in_words(len(evidence.systems))} image classifiers",
        f"on {evidence.dataset}: a report generated from the directories of its runs",
    )
    figures = output / "figures"
    add_front(document, evidence)
    add_systems(document, evidence)
    add_protocol(document, evidence)
    add_results(document, evidence, figures)
    add_trust(document, evidence, figures)
    add_errors(document, evidence)
    add_cost(document, evidence, figures)
    add_closing(document, evidence)
    add_sources(document, evidence)
    numbered = document.numbered()
    write_page(numbered, output / "report.html")
    pages = write_pdf(numbered, output / "report.pdf")
    if record:
        record_report(document, evidence, output, record)
    return pages

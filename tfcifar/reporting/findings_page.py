"""A browsable page of what is suspicious in a data set: one HTML file with the images inside.

Each command leaves what it found in a file of its own, and the page is made from all that lie in the folder.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from tfcifar.run_dir import read_json, write_json, write_text

TEMPLATE = Path(__file__).with_suffix(".html")
PAGE = "data_quality.html"
LARGEST = 96  # pixels; larger images are shrunk to it, or a thousand of them would not fit into a page
KINDS = {
    "label": "labels that are likely wrong",
    "test_train": "test images with a near-duplicate in training",
    "train_train": "near-duplicates within training",
}


@dataclass(frozen=True)
class Finding:
    """One card of the page. Nothing in it is markup.

    kind: of KINDS.
    title, facts: a line each.
    classes: names by which it can be filtered.
    differ: whether two labels stand against each other.
    images: uint8 [h, w, 3] each, beside each other, with their captions.
    """

    kind: str
    title: str
    facts: str
    classes: tuple[str, ...]
    differ: bool
    images: tuple[np.ndarray, ...]
    captions: tuple[str, ...]


def write_findings(
    output: Path, part: str, source: str, class_names: Sequence[str], summary: list[str], findings: list
) -> Path:
    """Keep a command's findings as output/findings_PART.json, and make the page of all parts in `output`.

    Args:
        part: "labels" or "duplicates"; replaces what the same command found before.
        source: name of the data set.
        summary: lines above the cards.
        findings: Finding, in the order in which they are shown.

    Returns:
        The page's path.
    """
    cards = [
        {
            "kind": each.kind,
            "title": each.title,
            "facts": each.facts,
            "classes": list(dict.fromkeys(each.classes)),
            "differ": each.differ,
            "pictures": [
                {"png": _png(image), "shape": f"{image.shape[1]} / {image.shape[0]}", "caption": caption}
                for image, caption in zip(each.images, each.captions, strict=True)
            ],
        }
        for each in findings
    ]
    content = {"source": source, "class_names": list(class_names), "summary": summary, "cards": cards}
    write_json(output / f"findings_{part}.json", content)
    return write_page(output)


def write_page(output: Path) -> Path:
    """Make the page from each findings_*.json in `output`."""
    parts = [read_json(path) for path in sorted(output.glob("findings_*.json"), reverse=True)]  # labels come first
    sources = list(dict.fromkeys(part["source"] for part in parts))
    names = list(dict.fromkeys(name for part in parts for name in part["class_names"]))
    number = {name: index for index, name in enumerate(names)}  # a name may hold blanks, a number does not
    cards = [card for part in parts for card in part["cards"]]
    counts = {kind: sum(card["kind"] == kind for card in cards) for kind in KINDS}
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"Data quality: {', '.join(sources)}"),
        summary="\n".join(f"<li>{escape(line)}</li>" for part in parts for line in part["summary"]),
        kinds="\n".join(f'<option value="{kind}">{KINDS[kind]} ({n})</option>' for kind, n in counts.items() if n),
        classes="\n".join(f'<option value="{index}">{escape(name)}</option>' for name, index in number.items()),
        cards="\n".join(_card(card, number) for card in cards),
    )
    write_text(output / PAGE, page)
    return output / PAGE


def _card(card: dict, number: dict[str, int]) -> str:
    classes = " ".join(str(number[name]) for name in card["classes"])
    differ = " data-differ" if card["differ"] else ""
    pictures = "".join(
        f'<figure><img style="--shape: {each["shape"]}" src="data:image/png;base64,{each["png"]}" '
        f'alt="{escape(each["caption"])}"><figcaption>{escape(each["caption"])}</figcaption></figure>'
        for each in card["pictures"]
    )
    return (
        f'<article class="card" tabindex="-1" data-kind="{card["kind"]}" data-classes="{classes}"{differ}>'
        f'<div class="pictures">{pictures}</div><h2>{escape(card["title"])}</h2>'
        f'<p class="facts">{escape(card["facts"])}</p></article>'
    )


def _png(image: np.ndarray) -> str:
    """uint8 [h, w, 3] as the base64 of a PNG file."""
    picture = Image.fromarray(image)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()

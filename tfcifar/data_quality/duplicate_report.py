"""Near-duplicates as a table, as sentences and as cards of the page."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines.sources import Examples
from tfcifar.data_quality.near_duplicates import Pairs
from tfcifar.reporting.findings_page import Finding, write_findings
from tfcifar.run_dir import write_csv

TEST_TRAIN, TRAIN_TRAIN = "test_train", "train_train"  # of findings_page.KINDS: where the first and second image are
COLUMNS = ("pair", "first", "second", "first_label", "second_label", "similarity", "first_file", "second_file")


def write_duplicates(
    found: dict[str, Pairs],
    test: Examples,
    training: Examples,
    source: str,
    class_names: Sequence[str],
    shown: int,
    output: Path,
) -> dict:
    """Write duplicates.csv and the page into `output`.

    Args:
        found: by TEST_TRAIN and TRAIN_TRAIN.
        source: name of the data set.
        shown: pairs of each kind on the page, see `_worth_showing`.

    Returns:
        JSON-ready summary: counts of images, groups and pairs, and the same in words as `lines`.
    """
    sides = {TEST_TRAIN: (test, training), TRAIN_TRAIN: (training, training)}
    rows = {kind: pair_rows(kind, found[kind], *sides[kind], class_names) for kind in sides}
    write_csv(output / "duplicates.csv", [row for each in rows.values() for row in each], COLUMNS)
    duplicated = len(np.unique(found[TEST_TRAIN].first))
    groups, grouped = count_groups(found[TRAIN_TRAIN], len(training))
    differ = {kind: sum(_differ(row) for row in each) for kind, each in rows.items()}
    lines = [
        f"Test: {duplicated:,} of {len(test):,} images ({duplicated / len(test):.2%}) have a near-duplicate in "
        f"training; in {differ[TEST_TRAIN]:,} of {len(rows[TEST_TRAIN]):,} pairs the labels differ.",
        f"Training: {grouped:,} of {len(training):,} images ({grouped / len(training):.2%}) have one within training; "
        f"keeping one of each group would remove {grouped - groups:,}; in {differ[TRAIN_TRAIN]:,} of "
        f"{len(rows[TRAIN_TRAIN]):,} pairs the labels differ.",
    ]
    on_page = [(kind, row) for kind, each in rows.items() for row in _worth_showing(each, kind, shown)]
    if len(on_page) < sum(map(len, rows.values())):
        lines.append(
            f"Pairs: the page shows up to {shown} of each kind, each with an image that no pair before it has, and "
            "all whose labels differ; duplicates.csv has all."
        )
    findings = [_finding(kind, row, *sides[kind]) for kind, row in on_page]
    write_findings(output, "duplicates", source, class_names, lines, findings)
    return {
        "dataset": source,
        "test_images": len(test),
        "test_images_with_duplicate": duplicated,
        "training_images": len(training),
        "training_images_in_groups": grouped,
        "training_groups": groups,
        "pairs": {kind: len(each) for kind, each in rows.items()},
        "pairs_with_other_labels": differ,
        "lines": lines,
    }


def count_groups(pairs: Pairs, count: int) -> tuple[int, int]:
    """How many groups `pairs` join among `count` images, and how many images are in these."""
    graph = coo_array((np.ones(len(pairs)), (pairs.first, pairs.second)), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    sizes = np.bincount(group)
    return int((sizes > 1).sum()), int(sizes[sizes > 1].sum())


def pair_rows(kind: str, pairs: Pairs, first: Examples, second: Examples, class_names: Sequence[str]) -> list[dict]:
    """Rows of duplicates.csv, the most similar pair first.

    Images count from 0: those of training in `training_pool`, those of test as in predictions.npz.
    """
    return [
        {
            "pair": kind,
            "first": int(one),
            "second": int(other),
            "first_label": class_names[first.labels[one]],
            "second_label": class_names[second.labels[other]],
            "similarity": round(float(similarity), 4),
            "first_file": first.file_of(one),
            "second_file": second.file_of(other),
        }
        for one, other, similarity in zip(pairs.first, pairs.second, pairs.similarity, strict=True)
    ]


def _worth_showing(rows: list[dict], kind: str, shown: int) -> list[dict]:
    """The first `shown` that show a test image, or a training image, that none before them shows; and all that differ.

    Some photographs are there fifty times, which makes a thousand pairs.
    """
    seen: set[int] = set()
    fresh = 0
    chosen = []
    for row in rows:
        images = {row["first"]} if kind == TEST_TRAIN else {row["first"], row["second"]}
        new = not images <= seen and fresh < shown
        if new or _differ(row):
            chosen.append(row)
        fresh += new
        seen |= images
    return chosen


def _differ(row: dict) -> bool:
    return row["first_label"] != row["second_label"]


def _finding(kind: str, row: dict, first: Examples, second: Examples) -> Finding:
    one, other = row["first_label"], row["second_label"]
    names = ("test" if kind == TEST_TRAIN else "training", "training")
    return Finding(
        kind=kind,
        title=f"{one} and {other}: labels differ" if _differ(row) else one,
        facts=f"similarity {row['similarity']:.2f}",
        classes=(one, other),
        differ=_differ(row),
        images=(first.images[row["first"]], second.images[row["second"]]),
        captions=tuple(
            f"{row[f'{side}_file'] or f'{name} image {row[side]:,}'}, {row[f'{side}_label']}"
            for side, name in zip(("first", "second"), names, strict=True)
        ),
    )

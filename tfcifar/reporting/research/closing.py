"""What it costs, what these figures cannot say, how to get them again, and where each number stands."""

from pathlib import Path

from tfcifar.environment import COMMANDS
from tfcifar.reporting.research.document import Bullets, Code, Document, Figure, Heading, Paragraph, Table
from tfcifar.reporting.research.evidence import Evidence
from tfcifar.reporting.research.figures import plot_cost
from tfcifar.reporting.results import command_of_seeds
from tfcifar.reporting.tables import duration, percent


def add_cost(document: Document, evidence: Evidence, figures: Path) -> None:
    rows = [
        (
            system.run_dir.name,
            percent(system.metrics["accuracy"]),
            duration(system.metrics["train_seconds"]),
            f"{system.metrics['pflop']:.2g}" if "pflop" in system.metrics else "",
            f"{system.metrics['parameters'] / 1e6:.2f}",
            f"{system.metrics['macs'] / 1e6:,.0f}",
            system.environment["hardware"],
        )
        for system in evidence.systems
    ]
    sources = tuple(path for each in evidence.systems for path in (each.run_dir.metrics, each.run_dir.environment))
    document.add(
        Heading("Cost"),
        Paragraph(
            "An ensemble pays for its accuracy with every prediction: @table:cost sets accuracy beside the time of "
            "training and the multiply-accumulates of one prediction. Times depend on what else ran "
            "on the machine; compute (PFLOP) is counted from the network and does not depend on the machine."
        ),
        Table(
            "cost",
            "What each system costs. Parameters and MACs in millions; an ensemble has the sums of its members.",
            ("system", "accuracy", "training", "PFLOP", "parameters (M)", "MACs (M)", "hardware of training"),
            tuple(rows),
            sources,
        ),
    )
    if len(evidence.systems) > 2:
        plot_cost(
            [
                {"name": row[0], "accuracy": system.metrics["accuracy"], "macs": system.metrics["macs"],
                 "seconds": system.metrics["train_seconds"]}
                for row, system in zip(rows, evidence.systems, strict=True)
            ],
            figures / "cost.png",
        )  # fmt: skip
        document.add(
            Figure(
                "cost",
                "Test accuracy against the cost of one prediction and against the time of training; the line joins the "
                "systems that nothing cheaper equals.",
                figures / "cost.png",
                sources,
            )
        )


def add_closing(document: Document, evidence: Evidence) -> None:
    document.add(Heading("Limitations"), Bullets(tuple(_limitations(evidence))))
    document.add(
        Heading("Reproduction"),
        Paragraph(
            "Each run directory keeps its recipe, command, versions, hardware, commit and the checksums of its data. "
            "What was run, with the code of the commits named below; later code takes a run's recipe with "
            "`tfcifar.train --recipe recipe.json`, whatever its own have become:"
        ),
        Code(tuple(_commands(evidence))),
    )


def _limitations(evidence: Evidence) -> list[str]:
    items = []
    single = [evidence.recipes[runs[0].run_dir.name].name for runs in evidence.seeds if len(runs) == 1]
    if single:
        items.append(
            f"One training run each: {', '.join(f'`{name}`' for name in single)}. What another seed would change is in "
            "no interval here."
        )
    items.append(
        f"All figures are of one data set, {evidence.dataset}, and of its one official test split, which the "
        "literature has used for years: systems in general may be fitted to it by now."
        if evidence.dataset.startswith("cifar")
        else f"All figures are of one data set, {evidence.dataset}, and of one test split."
    )
    if any(recipe.model.weights for recipe in evidence.recipes.values()):
        items.append(
            "The pretrained networks have seen ImageNet's 1.3 million images besides: they are not to be compared with "
            "networks trained from scratch as if the data were equal."
        )
    if evidence.robustness():
        items.append(
            "Corruptions are generated, not photographed; robustness to them says little about changes of viewpoint, "
            "background or camera."
        )
    if evidence.uncertainty():
        items.append(
            "Most foreign images are generated and easy to tell; figures for images that resemble the training data "
            "would be lower."
        )
    items.append("Differences within tables are tested one by one; only the table of classes is corrected for number.")
    return items


def _commands(evidence: Evidence) -> list[str]:
    lines = []
    for runs in evidence.seeds:
        seeds = [evidence.recipes[run.run_dir.name].seed for run in runs]
        lines.append(command_of_seeds(runs[0].environment["command"], seeds))
    made = [system for system in evidence.systems if system not in evidence.trained]
    lines += [system.environment["command"] for system in made]
    for folder in evidence.folders:
        if (folder / COMMANDS).is_file():
            lines += _of_the_report((folder / COMMANDS).read_text(encoding="utf-8").splitlines())
    return list(dict.fromkeys(evidence.without_place(line) for line in lines))


def _of_the_report(lines: list[str]) -> list[str]:
    """Without trainings, which stand above, exports, and the parts of an ablation that was made as a whole too."""
    lines = [line for line in lines if not line.startswith(("python -m tfcifar.train ", "python -m export."))]
    ablation = "python -m tfcifar.ablation "
    whole = any(line.startswith(ablation) and " --rows " not in line for line in lines)
    return [line for line in lines if not (whole and line.startswith(ablation) and " --rows " in line)]


def add_sources(document: Document, evidence: Evidence) -> None:
    """Which files each table and figure was made from; last, since it names all of them."""
    commits = sorted({str(each.environment["commit"]) for each in evidence.systems})
    numbered = document.numbered()
    document.add(
        Heading("Sources", numbered=False),
        Paragraph(f"The files behind each table and figure. Commits of the runs: {', '.join(commits)}."),
        Table(
            "sources",
            "Files that the numbers were read from.",
            ("", "files"),
            tuple((label, _short(paths, evidence)) for label, paths in numbered.sources()),
            (),
            text_columns=2,
        ),
    )


def _short(paths: tuple[Path, ...], evidence: Evidence) -> str:
    """Files below the folder that all evidence lies in; those of one name in several runs gathered in one."""
    gathered: dict[tuple[str, str], list[str]] = {}
    for path in dict.fromkeys(each.resolve() for each in paths):
        folder = next((each for each in evidence.folders if path.is_relative_to(each)), path.parent)
        place = (evidence.place(folder.parent), str(path.relative_to(folder)))
        gathered.setdefault(place, []).append(folder.name)
    return ", ".join(
        f"{parent}/{'*' if len(names) == len(evidence.systems) > 1 else _braces(names)}/{file}"
        for (parent, file), names in gathered.items()
    )


def _braces(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{{{', '.join(names)}}}"

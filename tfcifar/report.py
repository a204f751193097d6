"""Evaluated runs next to each other: a table, paired tests and figures; and the official results on record."""

import argparse
from pathlib import Path

from tfcifar.cli import make_parser, run

EPILOG = """examples:
  python -m tfcifar.report runs/level_1-cpu-seed0 runs/level_2-cpu-seed0
  python -m tfcifar.report runs/level_2-cpu-seed* --record level_2      # for results/ and the README
  python -m tfcifar.report --level 4 runs/level_[123]-* runs/ensemble runs/ablation/level_2   # a paper, HTML and PDF"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.report", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, nargs="+", metavar="RUN_DIR",
                        help="evaluated by tfcifar.evaluate; with --level 4 also made by tfcifar.ablation or "
                             "tfcifar.data_quality")  # fmt: skip
    parser.add_argument("--level", type=int, choices=(4,),
                        help="4: a research report with all that was measured: HTML and PDF")  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("runs/report"), metavar="FOLDER",
                        help="for report.html, report.md and figures (default %(default)s)")  # fmt: skip
    parser.add_argument("--record", metavar="NAME",
                        help="put these runs (one recipe, several seeds) on record in results/; with --level 4 the "
                             "report and its ensemble")  # fmt: skip
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from tfcifar.reporting.readme_table import update_readme
    from tfcifar.reporting.results import record

    if args.level == 4:
        from tfcifar.reporting.research.report import write_research_report

        pages = write_research_report(args.run_dir, args.output, args.record)
        print(f"report: {args.output / 'report.html'}, report.pdf ({pages} pages)")
        if args.record:
            update_readme()
            print(f"recorded in results/{args.record}/")
        return
    from tfcifar.reporting.run_report import load_run, write_comparison

    runs = [load_run(path) for path in args.run_dir]
    if args.record:
        entries = record(args.record, runs)
        update_readme()
        print(f"recorded {args.record} (n={entries[0]['n']}) in results/:")
        for entry in entries:
            spread = "" if entry["std"] is None else f" +- {entry['std']:.2g}"
            print(f"  {entry['metric']} {entry['value']:.5g}{spread} {entry['unit']}")
    else:
        print(write_comparison(runs, args.output))
        print(f"report: {args.output / 'report.html'}, report.md")


if __name__ == "__main__":
    run(main)

"""`qstar analyze`: what the diagnostics of generated data show, checks, figures.

    qstar analyze out.jsonl
    qstar analyze kl.diagnostics.jsonl fixed.diagnostics.jsonl --output analysis

Prints distributions over answers, the checks with pass or FAIL on the run's number and the share of answers that pass
by themselves, and several runs side by side; writes analysis.json, analysis.md and figures. A check that fails is a
finding, not an error: the exit code is 0 whenever the analysis was made.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError

FILE_SUFFIXES = (".json", ".jsonl", ".md", ".txt", ".csv", ".html", ".png", ".pdf", ".svg")


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return a name per file: its own, with as much of its path as tells it from others of that name."""
    from qstar_pl.generation.analyze_reading import SUFFIX

    stems = [path.absolute().with_name(path.name.removesuffix(SUFFIX)) for path in paths]
    names = [stem.name for stem in stems]
    depth = 1
    while len(set(names)) < len(names) and depth < max(len(stem.parts) for stem in stems):
        depth += 1
        counts = Counter(names)
        names = [
            "/".join(stem.parts[-depth:]) if counts[name] > 1 else name for stem, name in zip(stems, names, strict=True)
        ]
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = ToolParser(prog="qstar analyze", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "diagnostics",
        type=place,
        nargs="+",
        help="*.diagnostics.jsonl files, outputs they lie beside, or folders of them",
    )
    parser.add_argument("--output", type=place, help="folder; default: <first file>.analysis beside it")
    arguments = parser.parse_args(argv)
    from rich.console import Console

    from qstar_pl.generation.analyze_figures import save_figures
    from qstar_pl.generation.analyze_reading import SUFFIX, find_diagnostics, read_diagnostics
    from qstar_pl.generation.analyze_report import markdown, print_analysis
    from qstar_pl.generation.analyze_statistics import analyze

    paths = list(dict.fromkeys(file for path in arguments.diagnostics for file in find_diagnostics(path)))
    runs = [read_diagnostics(path, name) for path, name in zip(paths, run_names(paths), strict=True)]
    folder = arguments.output or paths[0].with_name(f"{paths[0].name.removesuffix(SUFFIX)}.analysis")
    if folder.is_file() or folder.suffix in FILE_SUFFIXES:
        raise UserError(f"output must be a folder, which several files go into, got {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    analysis = analyze(runs)
    console = Console()
    console.width = max(console.width, 140)  # a pipe counts as 80 columns, which cuts the numbers
    print_analysis(analysis, console)
    figures = save_figures(runs, folder)
    (folder / "analysis.json").write_text(json.dumps(analysis, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "analysis.md").write_text(markdown(analysis, figures), encoding="utf-8")
    console.print(f"written: {folder}", markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`qstar analyze`: statistics, checks and figures from the diagnostics of generated data.

    qstar analyze out.jsonl
    qstar analyze kl.diagnostics.jsonl fixed.diagnostics.jsonl --output analysis

Prints distributions over answers, each check with pass or FAIL for the run and the share of answers that pass on their
own, and several runs side by side; writes analysis.json, analysis.md and figures. A failed check is a finding, not an
error: the exit code is 0 whenever the analysis was made.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError
from qstar_pl.figures import FORMATS
from qstar_pl.files import write_text

GROUP = "look"
"""Below which heading `qstar --help` lists it."""

FILE_SUFFIXES = (".json", ".jsonl", ".md", ".txt", ".csv", ".html", ".png", ".pdf", ".svg")


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return a name per file: its own, with as much of its path as is needed to tell apart files of the same name."""
    from qstar_pl.generation.analyze_reading import SUFFIX

    stems = [path.absolute().with_name(path.name.removesuffix(SUFFIX)) for path in paths]
    names = [stem.name for stem in stems]
    # Names that are still ambiguous get one more folder in front, until all differ or the paths end.
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
    parser = ToolParser("qstar analyze", __doc__)
    parser.add_argument(
        "diagnostics",
        type=place,
        nargs="+",
        help="*.diagnostics.jsonl files, outputs they lie beside, or folders of them",
    )
    parser.add_argument("--output", type=place, help="folder to write into; default: <first file>.analysis beside it")
    formats = [suffix[1:] for suffix in FORMATS]
    parser.add_argument("--figure_format", choices=formats, default="png", help="format of the figures (default png)")
    arguments = parser.parse_args(argv)
    # Only now, so that --help answers at once.
    from qstar_pl.console import SpellingConsole
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
    console = SpellingConsole()
    print_analysis(analysis, console)
    figures = save_figures(runs, folder, f".{arguments.figure_format}")
    for line in figures.left_out:
        console.print(f"notice: {line}", markup=False, highlight=False, soft_wrap=True)
    write_text(folder / "analysis.json", json.dumps(analysis, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / "analysis.md", markdown(analysis, figures.names))
    console.print(
        f"written: {folder} (tables: analysis.md; figures: {len(figures.names)})",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

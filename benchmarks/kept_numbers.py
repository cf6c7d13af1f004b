"""A metric of kept runs at any validation, seed by seed, and how two cells differ in it.

    python benchmarks/kept_numbers.py EXPERIMENT METRIC CELL[@SAMPLES] [CELL[@SAMPLES]] [--seeds 3 4 5]
    python benchmarks/kept_numbers.py cross_domain val/reward_gold/summary q_star on_policy@640
    python benchmarks/kept_numbers.py stages val/reward_gold sft_q_star sft_q_star@start

A cell is read at its end, after so many samples, before its first step (`@start`), or where it was `@lowest` or
`@highest` of the whole run. Of two cells the difference is
printed as well, paired by seed, with Student's 95% interval and the p-value of the paired t-test, which no correction
for other tests has touched. Whatever `docs/results` says beyond its tables is printed by this.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics import paired_difference
from qstar_pl.experiments.report.reading import Results, read_results

DATA = Path(__file__).parents[1] / "docs" / "results" / "data"


def values(results: Results, key: str, place: str, seeds: Sequence[int]) -> dict[int, float]:
    """Return seed → a metric of a cell at a place, as `CELL@SAMPLES`; of all seeds where none are given."""
    cell, _, at = place.partition("@")
    found = {}
    for run in results.finished(cell):
        if seeds and run.seed not in seeds:
            continue
        if at in ("", "start"):
            known = run.before if at else run.after
            if key in known:
                found[run.seed] = known[key]
            continue
        points = results.series(cell, run.seed, key)
        if at in ("lowest", "highest"):
            found[run.seed] = float(points.y.min() if at == "lowest" else points.y.max())
            continue
        here = points.y[points.x == float(at)]
        if len(here):
            found[run.seed] = float(here[-1])
    if not found:
        raise UserError(f"{place} must be a cell, and a place at which {key} was measured; cells: {results.cells}")
    return found


def shown(place: str, found: dict[int, float]) -> str:
    """Return the mean, and the value of each seed."""
    mean = sum(found.values()) / len(found)
    return f"{place}: {mean:.3f}  ({', '.join(f'{value:.3f}' for value in found.values())})"


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", help="a folder of docs/results/data without _tiny, or the path of one")
    parser.add_argument("metric")
    parser.add_argument("cells", nargs="+", metavar="CELL[@PLACE]")
    parser.add_argument("--seeds", type=int, nargs="+", default=(), help="only these")
    options = parser.parse_args()
    kept = DATA / f"{options.experiment}_tiny"
    try:
        results = read_results(kept if kept.is_dir() else Path(options.experiment))
        found = [values(results, options.metric, place, options.seeds) for place in options.cells[:2]]
    except (UserError, ValueError) as error:
        parser.error(str(error))
    for place, one in zip(options.cells, found, strict=False):
        print(shown(place, one))
    if len(found) == 2:
        seeds = sorted(set(found[0]) & set(found[1]))
        pair = paired_difference([found[0][seed] for seed in seeds], [found[1][seed] for seed in seeds], seeds)
        interval = pair.difference.interval
        within = "" if interval is None else f" [{interval.low:+.3f}, {interval.high:+.3f}]"
        p = "" if pair.t_test is None else f", p = {pair.t_test:.3f}"
        print(f"difference: {pair.difference.value:+.3f}{within}{p}, {len(seeds)} seeds")


if __name__ == "__main__":
    main()

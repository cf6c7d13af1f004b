"""`qstar curves`: plot a metric of several runs against steps, samples or time.

    qstar curves runs/*/version_0/metrics.csv --key beta/mean --output beta.png
    qstar curves a/metrics.csv b/metrics.csv --key reward/gold --x generated/total --output budget.png

The x-axis is the optimizer step, or any metric that is logged in the same rows: the budgets `samples/total`,
`generated/total`, `tokens/total` and `time/wall_s` mean the same for every method.
"""

import sys
from collections.abc import Sequence

from qstar_pl.cli.tool_parser import ToolParser, figure, place
from qstar_pl.experiments.curves import save_curves


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = ToolParser(prog="qstar curves", description="Plot a metric of several runs in one figure.")
    parser.add_argument("metrics", type=place, nargs="+", help="metrics.csv of each run")
    parser.add_argument("--key", action="append", required=True, help="metric, e.g. beta/mean; once per panel")
    parser.add_argument("--x", default="step", help="step (default), samples/total, generated/total, time/wall_s, …")
    parser.add_argument("--output", type=figure, required=True, help="figure: a .png, .pdf or .svg")
    arguments = parser.parse_args(argv)
    for file, key in save_curves(arguments.metrics, arguments.key, arguments.x, arguments.output):
        print(f"left out: {file} has no {key} beside {arguments.x}")
    print(f"figure: {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

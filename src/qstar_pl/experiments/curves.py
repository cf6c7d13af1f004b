"""One metric of several runs in one figure, against steps or any budget that is logged with it."""

import csv
from collections.abc import Sequence
from pathlib import Path

from qstar_pl.errors import UserError


def read_curve(metrics_csv: Path, key: str, x: str = "step") -> list[tuple[float, float]]:
    """Return (x, y) of the rows of a CSVLogger's file that have both.

    Validation has rows of its own, without the training's budgets; such a row takes x from the row before it.

    Raises:
        UserError: if the file is not there or has no such column.

    """
    if not metrics_csv.is_file():
        raise UserError(f"metrics must be files that a CSVLogger wrote, got {metrics_csv}, which does not exist")
    with metrics_csv.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or []
        for option, name in (("key", key), ("x", x)):
            if name not in columns:
                raise UserError(f"{option} must be a column of {metrics_csv}, got {name!r}; there are {list(columns)}")
        points, last = [], ""
        for row in rows:
            last = row[x] or last
            if row[key] and last:  # an empty cell: not logged in this row
                points.append((float(last), float(row[key])))
        return points


def run_name(metrics_csv: Path) -> str:
    """Return e.g. "ledpo/version_0" for runs/ledpo/version_0/metrics.csv."""
    return "/".join(metrics_csv.absolute().parent.parts[-2:])


def read_curves(
    files: Sequence[Path], keys: Sequence[str], x: str
) -> dict[tuple[Path, str], list[tuple[float, float]]]:
    """Return the curve of every run that logs a metric; not every run must, since a wildcard may match other methods.

    Raises:
        UserError: if no run logs a metric, or a file is not there.

    """
    curves, errors = {}, {}
    for key in keys:
        for file in files:
            try:
                curves[file, key] = read_curve(file, key, x)
            except UserError as error:
                if not file.is_file():
                    raise
                errors[file, key] = error
        if not any((file, key) in curves for file in files):
            raise errors[files[0], key]
    return curves


def save_curves(files: Sequence[Path], keys: Sequence[str], x: str, output: Path) -> list[tuple[Path, str]]:
    """Draw a panel per metric with a line per run, and return the pairs (run, metric) that have no curve."""
    import matplotlib as mpl

    mpl.use("Agg")  # needs no display
    from matplotlib import pyplot as plt

    curves = read_curves(files, keys, x)
    figure, axes = plt.subplots(1, len(keys), figsize=(3 + 5 * len(keys), 4), layout="constrained", squeeze=False)
    colors = plt.get_cmap("tab20").colors  # type: ignore[attr-defined, unused-ignore]
    for axis, key in zip(axes.flat, keys, strict=True):
        for number, file in enumerate(files):
            if (file, key) not in curves:
                continue
            # 20 colors; further runs repeat them with dashes.
            color, dashed = colors[number % len(colors)], number >= len(colors)
            points = zip(*curves[file, key], strict=True)
            axis.plot(*points, label=run_name(file), color=color, linestyle="--" if dashed else "-", linewidth=1.2)
        axis.set_xlabel("optimizer step" if x == "step" else x)
        axis.set_ylabel(key)
        axis.grid(alpha=0.25)
    drawn = [axis.get_legend_handles_labels() for axis in axes.flat]
    # One legend for all panels: a run has the same line in each of them.
    lines = {label: handle for handles, labels in drawn for handle, label in zip(handles, labels, strict=True)}
    figure.legend(list(lines.values()), list(lines), loc="outside right center", fontsize=8, frameon=False)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=150)
    plt.close(figure)
    return [(file, key) for file in files for key in keys if (file, key) not in curves]

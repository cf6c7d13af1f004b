"""Where experiments lie, and the names of the files in the folder of one."""

from pathlib import Path

EXPERIMENTS = Path("runs/experiments")

SCHEMA = 1
"""Of results.json; see `results/files.py`."""
RESULTS, CURVES, TIMES = "results.json", "curves.parquet", "times.parquet"
ANSWERS, DISTRIBUTIONS = "answers.parquet", "distributions.parquet"
REPORT = "report"
"""Folder of the report, beside them."""
DATA = "data"
"""Folder beside a report, of what it was made from."""
FIRST = ("main", "mvp", "map", "alpha")
"""Experiments that stand before the others of a folder."""

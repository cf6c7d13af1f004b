"""The names of the files in an experiment's folder."""

SCHEMA = 1
"""Of results.json; see `results/files.py`."""
RESULTS, CURVES, TIMES = "results.json", "curves.parquet", "times.parquet"
ANSWERS, DISTRIBUTIONS = "answers.parquet", "distributions.parquet"

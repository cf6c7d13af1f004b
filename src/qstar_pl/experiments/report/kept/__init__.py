"""What a report reads of an experiment, small enough to be kept beside the page."""

from qstar_pl.experiments.report.kept.data import keep as keep

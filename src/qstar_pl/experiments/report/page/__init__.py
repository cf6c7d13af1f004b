"""The report as one self-contained page."""

from qstar_pl.experiments.report.page.rendering import rendered as rendered
from qstar_pl.experiments.report.page.rendering import without_times as without_times

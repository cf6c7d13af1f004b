"""From row scores and verdicts to numbers with intervals, as JSON, markdown and a table."""

from qstar_pl.evaluating.report.report import Report as Report
from qstar_pl.evaluating.report.report import report_of as report_of
from qstar_pl.evaluating.report.tables import markdown as markdown
from qstar_pl.evaluating.report.tables import printed as printed

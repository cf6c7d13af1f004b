"""The report's figures, each in a file of its own."""

from qstar_pl.experiments.report.figures.groups import groups as groups
from qstar_pl.experiments.report.figures.groups import is_main as is_main
from qstar_pl.experiments.report.figures.groups import time_figures as time_figures
from qstar_pl.experiments.report.figures.panel import LeftOut as LeftOut
from qstar_pl.experiments.report.figures.panel import Panel as Panel
from qstar_pl.experiments.report.figures.panel import save as save

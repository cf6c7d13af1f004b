"""Experiments as YAML: a matrix over base configurations, named overrides and seeds, at one budget."""

from qstar_pl.experiments.matrix.experiment import Budget as Budget
from qstar_pl.experiments.matrix.experiment import Cell as Cell
from qstar_pl.experiments.matrix.experiment import Evaluation as Evaluation
from qstar_pl.experiments.matrix.experiment import Experiment as Experiment
from qstar_pl.experiments.matrix.experiment import Report as Report
from qstar_pl.experiments.matrix.experiment import Tune as Tune
from qstar_pl.experiments.matrix.reading import read_experiment as read_experiment
from qstar_pl.experiments.matrix.reading import variants_of as variants_of
from qstar_pl.experiments.matrix.settings import Settings as Settings
from qstar_pl.experiments.matrix.settings import check_settings as check_settings
from qstar_pl.experiments.matrix.settings import code_version as code_version
from qstar_pl.experiments.matrix.stages import check_cells as check_cells
from qstar_pl.experiments.matrix.stages import with_stages as with_stages

"""Baselines: what an answer must beat, as a strategy."""

from qstar_pl.evaluation.metrics.baselines.baseline import Baseline as Baseline
from qstar_pl.evaluation.metrics.baselines.other_model import OtherModel as OtherModel
from qstar_pl.evaluation.metrics.baselines.preferred import Preferred as Preferred
from qstar_pl.evaluation.metrics.baselines.start import Start as Start
from qstar_pl.evaluation.metrics.baselines.stored import StoredAnswers as StoredAnswers

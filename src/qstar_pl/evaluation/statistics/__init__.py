"""How sure a number is: pure functions of NumPy arrays, by SciPy and statsmodels, which they import when called."""

from qstar_pl.evaluation.statistics.effect_size import paired_cohen_d as paired_cohen_d
from qstar_pl.evaluation.statistics.effect_size import paired_hedges_g as paired_hedges_g
from qstar_pl.evaluation.statistics.effect_size import probability_of_improvement as probability_of_improvement
from qstar_pl.evaluation.statistics.interval import Estimate as Estimate
from qstar_pl.evaluation.statistics.interval import Interval as Interval
from qstar_pl.evaluation.statistics.mean import mean_interval as mean_interval
from qstar_pl.evaluation.statistics.over_runs import interquartile_mean as interquartile_mean
from qstar_pl.evaluation.statistics.over_runs import interquartile_mean_interval as interquartile_mean_interval
from qstar_pl.evaluation.statistics.over_runs import performance_profile as performance_profile
from qstar_pl.evaluation.statistics.paired import PairedDifference as PairedDifference
from qstar_pl.evaluation.statistics.paired import paired_difference as paired_difference
from qstar_pl.evaluation.statistics.significance import holm as holm
from qstar_pl.evaluation.statistics.significance import paired_t_test as paired_t_test
from qstar_pl.evaluation.statistics.significance import sign_flip_test as sign_flip_test
from qstar_pl.evaluation.statistics.significance import swap_test as swap_test
from qstar_pl.evaluation.statistics.totals import Statistic as Statistic
from qstar_pl.evaluation.statistics.totals import difference_of as difference_of
from qstar_pl.evaluation.statistics.totals import statistic_interval as statistic_interval
from qstar_pl.evaluation.statistics.two_level import two_level_interval as two_level_interval
from qstar_pl.evaluation.statistics.two_level_bootstrap import two_level_bootstrap as two_level_bootstrap

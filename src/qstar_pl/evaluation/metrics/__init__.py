"""What `validate` and `test` report, one metric per class; a list of them is an option of every method."""

from qstar_pl.evaluation.metrics.beta import Beta as Beta
from qstar_pl.evaluation.metrics.defaults import COMPARISON_METRICS as COMPARISON_METRICS
from qstar_pl.evaluation.metrics.defaults import PAIR_METRICS as PAIR_METRICS
from qstar_pl.evaluation.metrics.defaults import POLICY_METRICS as POLICY_METRICS
from qstar_pl.evaluation.metrics.divergence import KLPolicyReference as KLPolicyReference
from qstar_pl.evaluation.metrics.drawing import Drawing as Drawing
from qstar_pl.evaluation.metrics.evidence import Answers as Answers
from qstar_pl.evaluation.metrics.evidence import Comparisons as Comparisons
from qstar_pl.evaluation.metrics.evidence import Demonstrations as Demonstrations
from qstar_pl.evaluation.metrics.lengths import CompletionLength as CompletionLength
from qstar_pl.evaluation.metrics.lengths import EndedFraction as EndedFraction
from qstar_pl.evaluation.metrics.measurements import Measurements as Measurements
from qstar_pl.evaluation.metrics.metric import AnswerMetric as AnswerMetric
from qstar_pl.evaluation.metrics.metric import ComparisonMetric as ComparisonMetric
from qstar_pl.evaluation.metrics.metric import DemonstrationMetric as DemonstrationMetric
from qstar_pl.evaluation.metrics.metric import Metric as Metric
from qstar_pl.evaluation.metrics.pair_means import PairMeans as PairMeans
from qstar_pl.evaluation.metrics.perplexity import Perplexity as Perplexity
from qstar_pl.evaluation.metrics.preference_accuracy import PreferenceAccuracy as PreferenceAccuracy
from qstar_pl.evaluation.metrics.rewards import RewardGold as RewardGold
from qstar_pl.evaluation.metrics.rewards import RewardProxy as RewardProxy
from qstar_pl.evaluation.metrics.sums import means as means
from qstar_pl.evaluation.metrics.sums import total as total

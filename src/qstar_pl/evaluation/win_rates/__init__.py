"""How often answers are preferred: win rates of two models, at equal lengths too, and ratings of many."""

from qstar_pl.evaluation.win_rates.annotations import Annotation as Annotation
from qstar_pl.evaluation.win_rates.annotations import by_pair as by_pair
from qstar_pl.evaluation.win_rates.annotations import read_alpaca_annotations as read_alpaca_annotations
from qstar_pl.evaluation.win_rates.bradley_terry import Rating as Rating
from qstar_pl.evaluation.win_rates.bradley_terry import Ratings as Ratings
from qstar_pl.evaluation.win_rates.bradley_terry import bradley_terry as bradley_terry
from qstar_pl.evaluation.win_rates.differences import ModelDifference as ModelDifference
from qstar_pl.evaluation.win_rates.differences import model_differences as model_differences
from qstar_pl.evaluation.win_rates.difficulty import instruction_difficulties as instruction_difficulties
from qstar_pl.evaluation.win_rates.gamed import read_gamed_baseline as read_gamed_baseline
from qstar_pl.evaluation.win_rates.head_to_head import HeadToHead as HeadToHead
from qstar_pl.evaluation.win_rates.head_to_head import head_to_head as head_to_head
from qstar_pl.evaluation.win_rates.length_control import GamedBaseline as GamedBaseline
from qstar_pl.evaluation.win_rates.length_control import length_controlled as length_controlled
from qstar_pl.evaluation.win_rates.report import PairReport as PairReport
from qstar_pl.evaluation.win_rates.report import pair_reports as pair_reports

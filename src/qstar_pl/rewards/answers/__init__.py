"""Final answers: where one stands in a text, and whether two are the same. Pure functions of text."""

from qstar_pl.rewards.answers.equality import same_answer as same_answer
from qstar_pl.rewards.answers.finding import find_answers as find_answers

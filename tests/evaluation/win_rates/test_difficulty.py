"""The difficulty of prompts, from several models."""

import numpy as np
import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.win_rates.difficulty import instruction_difficulties
from qstar_pl.evaluation.win_rates.logistic import sigmoid


def test_planted_difficulties_are_found() -> None:
    generator = np.random.default_rng(0)
    truth = generator.normal(size=150)
    longer = generator.normal(0, 300, size=(30, 150))
    quality = generator.normal(size=(30, 1))
    logits = quality - np.tanh(longer / longer.std(axis=1, ddof=1, keepdims=True)) + truth
    preferences = (generator.random((30, 150)) < sigmoid(logits)).astype(float)
    preferences[0, :20] = np.nan
    found = instruction_difficulties(preferences, longer)
    assert np.corrcoef(found, truth)[0, 1] > 0.85
    assert np.sqrt(np.mean((found - found.mean() - truth + truth.mean()) ** 2)) < 0.5


def test_a_prompt_on_which_all_win_is_finite_and_one_model_is_not_enough() -> None:
    found = instruction_difficulties([[1, 0, 1], [1, 1, 0]], [[1, 2, 3], [3, 2, 2]])
    assert np.isfinite(found).all()
    assert found[0] == max(found)
    with pytest.raises(UserError, match="difficulties must be told from two models or more, got 1"):
        instruction_difficulties([[1, 0]], [[1, 2]])

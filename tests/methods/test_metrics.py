import math

import pytest
import torch

from qstar_pl.methods.metrics import EvaluationMetrics


def test_means_are_over_rows_whatever_the_batches():
    metrics = EvaluationMetrics()
    metrics.reward_gold.update(torch.tensor([1.0, 2.0, 3.0]))
    metrics.reward_gold.update(torch.tensor([10.0]))
    assert float(metrics.flush("val")["val/reward_gold"]) == 4.0


def test_ties_count_one_half_and_perplexity_is_of_all_tokens():
    metrics = EvaluationMetrics()
    metrics.update_preferences(torch.tensor([1.0, -2.0, 0.0]))
    metrics.nats_per_token.update(torch.tensor([1.0, 2.0, 3.0]))
    values = metrics.flush("test")
    assert float(values["test/preference_accuracy"]) == 0.5
    assert float(values["test/perplexity"]) == pytest.approx(math.exp(2.0))


def test_what_saw_no_data_is_absent_and_flushing_starts_anew():
    metrics = EvaluationMetrics()
    metrics.reward_proxy.update(torch.ones(2))
    assert set(metrics.flush("val")) == {"val/reward_proxy"}
    assert metrics.flush("val") == {}

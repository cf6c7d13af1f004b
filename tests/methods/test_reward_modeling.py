import math

import pytest
import torch
from recorder import Recorder

from qstar_pl.errors import UserError
from qstar_pl.methods import RewardModeling


def model_source():
    from qstar_pl.models import FromConfig

    overrides = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 128, "vocab_size": 640}
    return FromConfig(model_type="gpt2", overrides=overrides, seed=1)


def test_learns_to_rank_pairs(fit, small_data):
    recorder = Recorder()
    module = RewardModeling(model=model_source(), optimizer=lambda p: torch.optim.AdamW(p, lr=1e-2))
    fit(module, small_data(), callbacks=[recorder], max_steps=40)
    assert sum(float(report.terms["accuracy"]) for report in recorder.reports[-5:]) / 5 > 0.9


def test_loss_is_bradley_terry_plus_centring(fit, small_data):
    recorder = Recorder()
    module = RewardModeling(model=model_source(), centring=0.5, optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
    fit(module, small_data(), callbacks=[recorder], max_steps=1)
    chosen, rejected = (values.detach().tolist() for values in module.rewards(recorder.batches[0]))
    pairs = list(zip(chosen, rejected, strict=True))
    likelihood = sum(math.log1p(math.exp(r - c)) for c, r in pairs) / len(pairs)
    centring = sum((c + r) ** 2 for c, r in pairs) / len(pairs)
    assert float(recorder.reports[0].terms["nats_per_pair"]) == pytest.approx(likelihood, rel=1e-4)
    assert float(recorder.reports[0].loss) == pytest.approx(likelihood + 0.5 * centring, rel=1e-4)


def test_validation_reports_only_the_preference_accuracy(fit, small_data):
    module = RewardModeling(model=model_source())
    trainer = fit(module, small_data(), max_steps=2, limit_val_batches=1.0, val_check_interval=2)
    assert set(trainer.callback_metrics) == {"val/preference_accuracy"}
    assert 0 <= float(trainer.callback_metrics["val/preference_accuracy"]) <= 1


def test_centring_must_not_be_negative():
    with pytest.raises(UserError, match="centring must be at least 0"):
        RewardModeling(centring=-1.0)

"""Bugs that were found in other trainers, each as a test that this one passes."""

import math

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from recorder import Recorder
from reference.toy_training import make_rows, report_of, take, train
from reference.two_ranks_ppo import SumOfTokens, small

from qstar_pl.callbacks import WeightsDiagnostic
from qstar_pl.data import RLHFDataModule, TinyWorld
from qstar_pl.methods import PPO, SFT
from qstar_pl.models.logprobs import logits_to_logprobs_and_entropy
from qstar_pl.rewards import GoldReward
from qstar_pl.samplers import PolicySampler
from qstar_pl.targets import Expert


class Ended(GoldReward):
    def score(self, rollout, completions):
        return rollout.ended_mask.float()


def ppo(**options):
    return PPO(
        policy=small(1),
        target=Expert(small(2)),
        gold=None,
        **{
            "reward": SumOfTokens(),
            "sampler": PolicySampler(max_new_tokens=8),
            "optimizer": lambda parameters: torch.optim.AdamW(parameters, lr=3e-3),
            **options,
        },
    )


def fit(module, max_steps, batch_size=8):
    seed_everything(0, verbose=False)
    recorder = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        limit_val_batches=0,
        max_steps=max_steps,
        callbacks=[recorder],
    )
    trainer.fit(module, RLHFDataModule(path="tiny", adapter=TinyWorld(size=60), batch_size=batch_size))
    return recorder.reports


def test_entropy_and_divergence_are_not_read_from_pads():
    """10 tokens of 1.2 nats among 53 positions are 12 nats, whatever the logits of the pads."""
    mask = torch.arange(53) < 10
    flat = torch.zeros(1, 53, 4)
    sharpness = next(s / 1000 for s in range(9000) if _entropy_of(s / 1000) <= 1.2)
    flat[0, :10, 0] = sharpness
    flat[0, 10:] = torch.tensor([1.0, math.nan, -math.inf, 50.0])
    ids = torch.zeros(1, 53, dtype=torch.int64)
    logprobs, entropy = logits_to_logprobs_and_entropy(flat, ids, mask.unsqueeze(0))
    assert float(entropy.sum()) == pytest.approx(12.0, abs=0.02)
    assert (entropy[0, 10:] == 0).all()
    assert (logprobs[0, 10:] == 0).all()


def _entropy_of(logit):
    law = torch.tensor([logit, 0.0, 0.0, 0.0]).softmax(0)
    return float(-(law * law.log()).sum())


def test_whitened_advantages_do_not_keep_their_mean():
    """Rewards far from zero, and answers of different lengths: mean 0 and variance 1 over tokens."""

    class Shifted(SumOfTokens):
        def score(self, rollout, completions):
            return super().score(rollout, completions) + 5

    module = ppo(reward=Shifted())
    module.configure_model()
    _raise_probability_of_eos(module)
    for report in fit(module, max_steps=4):
        mask = report.weighted.scored.rollout.completion_mask
        assert not mask.all()
        counted = report.weighted.advantages[mask]
        assert abs(float(counted.mean())) < 1e-5
        assert float(counted.std(correction=0)) == pytest.approx(1.0, abs=1e-4)
        assert (report.weighted.advantages[~mask] == 0).all()


def test_eos_is_learned_although_pads_have_its_id():
    module = SFT(policy=small(1), reward=None, gold=None, optimizer=lambda p: torch.optim.AdamW(p, lr=1e-2))
    module.tokenizer.pad_token = module.tokenizer.eos_token
    report = fit(module, max_steps=60)[-1]
    assert float(report.terms["nats_per_token"]) < 5
    assert _probability_of_eos_at_the_end(module) > 0.3

    module = ppo(reward=Ended(), epochs=4, kl_coefficient=0.0)
    module.tokenizer.pad_token = module.tokenizer.eos_token
    module.configure_model()
    _raise_probability_of_eos(module)
    reports = fit(module, max_steps=80)
    ended = [float(report.weighted.scored.rollout.ended_mask.float().mean()) for report in reports]
    assert ended[0] < 0.8 < 0.95 < ended[-1]
    # And not only by unlearning everything else: EOS is among the tokens that count.
    rollout = reports[0].weighted.scored.rollout
    last = rollout.completion_mask.sum(-1, keepdim=True) - 1
    is_eos = rollout.completion_ids.gather(1, last).squeeze(1) == module.tokenizer.eos_token_id
    assert torch.equal(is_eos, rollout.ended_mask)


def _raise_probability_of_eos(module):
    """Make EOS come up in some answers: its embedding is turned towards the last layer's bias."""
    with torch.no_grad():
        final, words = module.policy.transformer.ln_f, module.policy.transformer.wte.weight
        final.bias.copy_(torch.linspace(-1, 1, 16))
        words[module.tokenizer.eos_token_id] = 3.5 * final.bias / final.bias.square().sum()


def _probability_of_eos_at_the_end(module):
    """Return the mean over eight answers: from one to the next it goes from .1 to .7."""
    data = RLHFDataModule(path="tiny", adapter=TinyWorld(size=60), batch_size=8, test_fraction=0.4, tokenizer="tiny")
    data.setup("test")
    batch = next(iter(data.test_dataloader()[1]))
    assert len(batch) == 8
    index = torch.arange(len(batch))
    with torch.no_grad():
        logits = module.policy_tokens.completion_logits(
            batch.prompts, index, batch.completion_ids, batch.completion_mask
        )
    last = batch.completion_mask.sum(-1) - 1
    assert (batch.completion_ids[index, last] == module.tokenizer.eos_token_id).all()
    return float(logits[index, last].softmax(-1)[:, module.tokenizer.eos_token_id].mean())


def test_ess_is_at_most_one_however_unequal_the_micro_batches():
    """Sums of weights over one set and a count over another gave ratios above 1."""
    rows = make_rows(24, 9, spread=0.02)
    parts = [range(1), range(1, 18), range(18, 24)]
    _, logger = train(
        lambda number, loss: report_of(take(rows, parts[number]), loss),
        3,
        [WeightsDiagnostic()],
        accumulate_grad_batches=3,
    )
    (_, metrics), *_ = logger.calls
    log_weights = (rows["log_weights"] * rows["mask"]).sum(1)
    weights = torch.tensor(log_weights).exp()
    expected = float(weights.sum() ** 2 / (24 * weights.square().sum()))
    assert metrics["weights/ess_fraction"] == pytest.approx(expected, rel=1e-5)
    assert max(value for key, value in metrics.items() if key.endswith("ess_fraction")) <= 1.0
    # Equal weights are where a ratio above 1 would show.
    same = {**rows, "log_weights": 0 * rows["log_weights"], "weights": 0 * rows["weights"] + 1}
    _, logger = train(
        lambda number, loss: report_of(take(same, parts[number]), loss),
        3,
        [WeightsDiagnostic()],
        accumulate_grad_batches=3,
    )
    assert logger.calls[0][1]["weights/ess_fraction"] == 1.0

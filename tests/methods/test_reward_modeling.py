import math
from dataclasses import replace

import pytest
import torch
from recorder import Recorder
from torch.nn.functional import pad

from qstar_pl.errors import UserError
from qstar_pl.methods import RewardModeling
from qstar_pl.models import Pretrained
from qstar_pl.models.reward_parametrisation import Autoregressive, TokenRewards
from qstar_pl.targets import RewardTilted
from qstar_pl.types import PromptBatch


def model_source():
    from qstar_pl.models import FromConfig

    overrides = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 256, "vocab_size": 640}
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


def test_validation_reports_how_the_pairs_are_ranked(fit, small_data):
    module = RewardModeling(model=model_source())
    trainer = fit(module, small_data(), max_steps=2, limit_val_batches=1.0, val_check_interval=2)
    metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
    rewards = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies")
    assert set(metrics) == {"val/preference_accuracy", *(f"val/{key}" for key in rewards)}
    pairs = [module.rewards(batch) for batch in trainer.val_dataloaders[2]]
    chosen, rejected = (torch.cat(values) for values in zip(*pairs, strict=True))
    assert metrics["val/rewards/chosen"] == pytest.approx(float(chosen.mean()), rel=1e-5)
    assert metrics["val/rewards/margins"] == pytest.approx(float((chosen - rejected).mean()), rel=1e-5)
    accuracy = float((chosen > rejected).float().mean())
    assert metrics["val/rewards/accuracies"] == metrics["val/preference_accuracy"] == pytest.approx(accuracy)


def test_centring_must_not_be_negative():
    with pytest.raises(UserError, match="centring must be at least 0"):
        RewardModeling(centring=-1.0)


@pytest.mark.parametrize("parametrisation", [Autoregressive(), TokenRewards()])
def test_tokenwise_rewards_learn_to_rank_pairs(fit, small_data, parametrisation):
    recorder = Recorder()
    optimizer = lambda p: torch.optim.AdamW(p, lr=1e-2)  # noqa: E731
    module = RewardModeling(model=model_source(), parametrisation=parametrisation, optimizer=optimizer)
    fit(module, small_data(), callbacks=[recorder], max_steps=40)
    assert sum(float(report.terms["accuracy"]) for report in recorder.reports[-5:]) / 5 > 0.9


def test_the_autoregressive_loss_is_bradley_terry_on_scaled_logprobs(fit, small_data):
    """Against the transformers model itself, one answer at a time; nothing is centered unless it is asked for."""
    recorder = Recorder()
    module = RewardModeling(
        model=model_source(),
        parametrisation=Autoregressive(scale=0.2),
        optimizer=lambda p: torch.optim.SGD(p, lr=0.0),
    )
    fit(module, small_data(), callbacks=[recorder], max_steps=1)
    batch, losses = recorder.batches[0], []
    for row in range(len(batch)):
        prompt = batch.prompts.prompt_ids[row][batch.prompts.prompt_mask[row]].tolist()
        rewards = []
        for ids, mask in ((batch.chosen_ids, batch.chosen_mask), (batch.rejected_ids, batch.rejected_mask)):
            answer = ids[row][mask[row]].tolist()
            with torch.no_grad():
                logprobs = module.model.model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
            rewards.append(0.2 * sum(float(logprobs[len(prompt) - 1 + t, y]) for t, y in enumerate(answer)))
        losses.append(math.log1p(math.exp(rewards[1] - rewards[0])))
    assert module.centring == 0
    assert float(recorder.reports[0].loss) == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_an_autoregressive_reward_model_becomes_a_target(fit, small_data, tmp_path):
    module = RewardModeling(model=model_source(), parametrisation=Autoregressive())
    fit(module, small_data(), max_steps=2)
    module.model.save_pretrained(str(tmp_path / "saved"))
    target = RewardTilted(Pretrained(str(tmp_path / "saved")), beta=0.5)
    policy = model_source().load()
    target.build(policy, module.tokenizer)
    ids = torch.tensor([[5, 6, 7]])
    prompts = PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([0]), ())
    with torch.no_grad():
        base, reward = (model(ids).logits[0, -1].log_softmax(-1) for model in (policy, module.model.model))
        expected = (base + reward / 0.5).log_softmax(-1)
        torch.testing.assert_close(target.start(prompts, 1).logits[0].log_softmax(-1), expected, atol=1e-4, rtol=1e-4)


def test_padding_changes_no_reward(fit, small_data):
    recorder = Recorder()
    module = RewardModeling(model=model_source(), parametrisation=Autoregressive())
    fit(module, small_data(), callbacks=[recorder], max_steps=1)
    batch = recorder.batches[0]
    prompts = batch.prompts
    more = replace(
        batch,
        prompts=replace(
            prompts, prompt_ids=pad(prompts.prompt_ids, (50, 0)), prompt_mask=pad(prompts.prompt_mask, (50, 0))
        ),
        chosen_ids=pad(batch.chosen_ids, (0, 50)),
        chosen_mask=pad(batch.chosen_mask, (0, 50)),
    )
    with torch.no_grad():
        for one, other in zip(module.rewards(batch), module.rewards(more), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)

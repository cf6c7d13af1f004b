import math

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from reference.tiny_methods import ending_model

from qstar_pl.methods import SFT
from qstar_pl.models.logprobs import completion_logprobs
from qstar_pl.rewards import GoldReward
from qstar_pl.samplers import PolicySampler
from qstar_pl.types import PreferenceBatch


@pytest.fixture
def validated(small_data, policy_options):
    """A validated module, its metrics, and its data."""

    def run(data=None, **options):
        module = SFT(**{**policy_options, "gold": GoldReward(), **options})
        data = data or small_data(eval_batch_size=3)
        seed_everything(0, verbose=False)
        trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
        return module, trainer.validate(module, data, verbose=False)[0], data

    return run


def test_validation_reports_every_metric(validated):
    _, metrics, _ = validated()
    names = "reward_proxy reward_gold kl_policy_reference completion_length ended_fraction perplexity"
    assert set(metrics) == {f"val/{name}" for name in [*names.split(), "preference_accuracy"]}
    # π_θ is π_init: no divergence, and every pair is a tie.
    assert metrics["val/kl_policy_reference"] == 0.0
    assert metrics["val/preference_accuracy"] == 0.5
    assert metrics["val/reward_proxy"] == metrics["val/reward_gold"]


def test_metrics_do_not_depend_on_the_evaluation_batch_size(validated, small_data):
    first = validated(small_data(eval_batch_size=1))[1]
    second = validated(small_data(eval_batch_size=16))[1]
    for key, value in first.items():
        assert second[key] == pytest.approx(value, rel=1e-4), key


def test_perplexity_is_exp_of_mean_nats_per_token(validated):
    module, metrics, data = validated()
    nats, tokens = 0.0, 0
    for batch in data.val_dataloader()[1]:
        for row in range(len(batch)):
            prompt = batch.prompts.prompt_ids[row][batch.prompts.prompt_mask[row]]
            answer = batch.completion_ids[row][batch.completion_mask[row]]
            ids = torch.cat([prompt, answer]).unsqueeze(0)
            labels = torch.cat([torch.full_like(prompt, -100), answer]).unsqueeze(0)
            with torch.no_grad():
                nats += float(module.policy(input_ids=ids, labels=labels).loss) * len(answer)
            tokens += len(answer)
    assert metrics["val/perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-4)


def test_preference_accuracy_and_kl_move_with_the_policy(validated, small_data):
    module, _, data = validated()
    with torch.no_grad():
        for parameter in module.policy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    metrics = trainer.validate(module, data, verbose=False)[0]
    right, pairs = 0.0, 0
    for batch in data.val_dataloader()[2]:
        assert isinstance(batch, PreferenceBatch)
        with torch.no_grad():
            gains = module.answer_logprobs(batch.prompts, batch.chosen_ids, batch.chosen_mask).log_ratios()
            losses = module.answer_logprobs(batch.prompts, batch.rejected_ids, batch.rejected_mask).log_ratios()
        right += float((gains > losses).sum())
        pairs += len(batch)
    assert metrics["val/preference_accuracy"] == pytest.approx(right / pairs)
    assert metrics["val/kl_policy_reference"] > 0


def test_demonstrations_that_are_the_chosen_answers_of_pairs_are_read_once(validated, monkeypatch):
    """By π_θ, in one validation; π_init reads them too, for the pairs."""
    readings = []

    def read(model, prompts, index, ids, mask):
        readings.append((model.model, prompts.prompt_ids.tolist(), ids.tolist()))
        return completion_logprobs(model, prompts, index, ids, mask)

    monkeypatch.setattr("qstar_pl.methods.bases.policy_module.completion_logprobs", read)
    module, _, data = validated()
    by_policy = [(prompts, ids) for model, prompts, ids in readings if model is module.policy]
    pairs = list(data.val_dataloader()[2])
    assert len(by_policy) == 2 * len(pairs)
    assert all(by_policy.count((one.prompts.prompt_ids.tolist(), one.chosen_ids.tolist())) == 1 for one in pairs)


def test_the_divergence_is_a_sum_along_the_answer(small_data, policy_options):
    """Σ_t D(π_θ‖π_init) by a forward pass over each whole text, mean over answers; answers differ in length."""
    options = {**policy_options, "policy": ending_model(1), "evaluation_sampler": PolicySampler(max_new_tokens=24)}
    module, data = SFT(**options), small_data(eval_batch_size=3)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.validate(module, data, verbose=False)
    with torch.no_grad():
        for parameter in module.policy.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    metrics = trainer.validate(module, data, verbose=False)[0]
    totals, lengths = [], []
    for batch in data.val_dataloader()[0]:
        rollout = module.draw_for_evaluation(batch)
        for row in range(len(rollout)):
            prompt = batch.prompt_ids[row][batch.prompt_mask[row]]
            answer = rollout.completion_ids[row][rollout.completion_mask[row]]
            ids = torch.cat([prompt, answer]).unsqueeze(0)
            with torch.no_grad():
                policy, reference = (
                    model(input_ids=ids).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
                    for model in (module.policy, module.reference)
                )
            totals.append(float((policy.exp() * (policy - reference)).sum()))
            lengths.append(len(answer))
    assert len(set(lengths)) > 1
    assert metrics["val/kl_policy_reference"] == pytest.approx(sum(totals) / len(totals), rel=1e-4)


def test_a_method_without_rewards_reports_none(validated):
    _, metrics, _ = validated(reward=None, gold=None)
    assert not any("reward" in key for key in metrics)


def test_predict_gives_messages_and_rewards(small_data, policy_options):
    module = SFT(**policy_options)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    rows = [row for batch in trainer.predict(module, small_data(test_fraction=0.3)) for row in batch]
    assert rows
    assert all(row["messages"][-1]["role"] == "assistant" for row in rows)
    assert all(row["messages"][-2]["role"] == "user" for row in rows)
    assert all(0 <= row["reward_proxy"] <= 1 for row in rows)


def test_fit_validates_after_a_validation_of_its_own(small_data, policy_options):
    module, data = SFT(**policy_options), small_data()
    options = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    trainer = Trainer(max_steps=2, val_check_interval=1, enable_model_summary=False, **options)
    trainer.validate(module, data, verbose=False)
    trainer.fit(module, data)
    assert "val/perplexity" in trainer.callback_metrics

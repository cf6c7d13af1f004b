import csv
from pathlib import Path

import pytest
import torch
from reference.tiny_methods import TinyData
from reference.tiny_models import SIZES, word_tokenizer

from qstar_pl.data import RLHFDataModule
from qstar_pl.errors import UserError
from qstar_pl.methods import DPO, SFT, QStar, RewardModeling
from qstar_pl.models import FromConfig, Pretrained
from qstar_pl.samplers import GeometricSampler, PolicySampler


def test_checkpoints_hold_what_trains_and_nothing_else(fit, small_data, rollout_options, tmp_path):
    module = QStar(**rollout_options)
    trainer = fit(module, small_data(), max_steps=1)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    state = torch.load(tmp_path / "one.ckpt", weights_only=True)["state_dict"]
    assert {key.split(".")[0] for key in state} == {"policy"}
    assert set(state) == {f"policy.{name}" for name in module.policy.state_dict()}


def test_frozen_models_come_from_their_source_and_never_train(fit, small_data, rollout_options):
    module = QStar(**rollout_options)
    module.configure_model()
    before = {name: value.clone() for name, value in module.reference.state_dict().items()}
    optimized = module.configure_optimizers().param_groups[0]["params"]
    assert {id(p) for p in optimized} == {id(p) for p in module.policy.parameters()}
    fit(module, small_data(), max_steps=2)
    assert all(torch.equal(value, before[name]) for name, value in module.reference.state_dict().items())
    assert not module.reference.training
    assert not any(part.training for part in module.target.expert.modules())


def test_lightnings_own_loading_needs_no_trainer_and_warns_of_nothing(
    fit, small_data, rollout_options, tmp_path, recwarn
):
    module = QStar(**rollout_options)
    fit(module, small_data(), max_steps=1).save_checkpoint(tmp_path / "one.ckpt")
    recwarn.clear()
    again = QStar.load_from_checkpoint(tmp_path / "one.ckpt", weights_only=True, **rollout_options)
    assert all(map(torch.equal, again.policy.state_dict().values(), module.policy.state_dict().values()))
    assert not [warning for warning in recwarn if "Found keys" in str(warning.message)]


def test_weights_alone_start_a_new_run_with_any_optimizer(fit, small_data, rollout_options, tmp_path):
    module = QStar(**rollout_options)
    fit(module, small_data(), max_steps=1).save_checkpoint(tmp_path / "one.ckpt", weights_only=True)
    options = {**rollout_options, "optimizer": lambda p: torch.optim.SGD(p, lr=0.1)}
    again = QStar.load_from_checkpoint(tmp_path / "one.ckpt", weights_only=True, **options)
    assert fit(again, small_data(), max_steps=1).global_step == 1


def test_a_checkpoint_without_some_weights_is_refused(rollout_options):
    module = QStar(**rollout_options)
    module.configure_model()
    state = module.state_dict()
    state.pop(next(iter(state)))
    with pytest.raises(UserError, match=r"ckpt_path must hold the weights of QStar, got one with 1 missing"):
        module.load_state_dict(state)
    with pytest.raises(UserError, match="1 unknown"):
        module.load_state_dict({**module.state_dict(), "policy.extra": torch.zeros(1)})


def test_a_checkpoint_of_another_shape_is_refused(rollout_options):
    module = QStar(**rollout_options)
    module.configure_model()
    state = dict(module.state_dict())
    name = next(iter(state))
    state[name] = torch.zeros(3, 3)
    with pytest.raises(UserError, match="this model's shape"):
        module.load_state_dict(state)


def test_the_schedule_is_stepped_once_per_optimizer_step(fit, small_data, policy_options):
    policy_options["optimizer"] = lambda p: torch.optim.SGD(p, lr=1.0)
    policy_options["lr_scheduler"] = lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    trainer = fit(SFT(**policy_options), small_data(batch_size=2), max_steps=3, accumulate_grad_batches=2)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.125)


def test_dropout_that_was_asked_for_is_on_only_where_the_policy_does_not_sample(
    fit, small_data, policy_options, rollout_options
):
    fitted = DPO(**policy_options)
    fit(fitted, small_data(), max_steps=1)
    assert fitted.policy.training
    sampling = QStar(**rollout_options)
    fit(sampling, small_data(), max_steps=1)
    assert not sampling.policy.training


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        (
            SFT,
            {},
            r"data.max_prompt_tokens \+ data.max_completion_tokens .* 256 positions of model.policy, got 200 \+ 64",
        ),
        (DPO, {}, r"data.max_prompt_tokens \+ data.max_completion_tokens .* got 200 \+ 64"),
        (QStar, {"sampler": GeometricSampler(max_new_tokens=57)}, r"model.sampler.max_new_tokens .* got 200 \+ 57"),
        (
            SFT,
            {"evaluation_sampler": PolicySampler(max_new_tokens=90), "data": {"max_completion_tokens": 8}},
            r"data.max_prompt_tokens \+ model.evaluation_sampler.max_new_tokens .* got 200 \+ 90",
        ),
        (RewardModeling, {}, r"data.max_completion_tokens .* 256 positions of model.model, got 200 \+ 64"),
    ],
)
def test_prompts_and_answers_that_cannot_fit_are_refused_before_a_model_is_loaded(
    method, options, words, fit, monkeypatch
):
    data = RLHFDataModule(**{"max_prompt_tokens": 200, "max_rows": 64, **options.pop("data", {})})
    monkeypatch.setattr(Pretrained, "load", None)
    monkeypatch.setattr(Pretrained, "load_reward", None)
    with pytest.raises(UserError, match=words):
        fit(method(**options), data, max_steps=1, limit_val_batches=1)


def test_a_rotary_models_context_counts_too(fit, tmp_path):
    """Beyond max_position_embeddings a Llama computes angles that it was never trained on."""
    word_tokenizer(tmp_path)
    sizes = {**SIZES["llama"], "vocab_size": 16, "max_position_embeddings": 150}
    policy = FromConfig("llama", sizes, tokenizer_name=str(tmp_path))
    data = RLHFDataModule(max_rows=64)
    with pytest.raises(UserError, match=r"150 positions of model.policy, got 128 \+ 64"):
        fit(SFT(policy=policy, reward=None, gold=None), data, max_steps=1)
    # What is never read does not count: no validation, no answers of the evaluation's sampler.
    wide = PolicySampler(max_new_tokens=99)
    short = RLHFDataModule(max_rows=64, max_prompt_tokens=100, max_completion_tokens=50)
    fit(SFT(policy=policy, reward=None, gold=None, evaluation_sampler=wide), short, max_steps=1, limit_val_batches=0)


def test_sampling_stops_where_the_data_end_answers(fit, policy_options):
    """As `end_ids` of the data says, whatever tokenizer and generation defaults say themselves."""

    class Ends(TinyData):
        @property
        def end_ids(self):
            return [7]

    module = SFT(**policy_options)
    fit(module, Ends(), max_steps=1)
    assert set(module.policy_tokens.eos_token_ids) == {7, module.tokenizer.eos_token_id}
    assert module.reference_tokens.eos_token_ids == module.policy_tokens.eos_token_ids


@pytest.mark.parametrize(("model", "steps"), [("PPO", ["4", "8"]), ("DPO", ["2", "4"])])
def test_a_validation_is_logged_under_the_steps_that_it_measures(qstar, model, steps):
    """PPO takes two steps per batch; Lightning would count the batches before the last one, here 1 and 3."""
    batches = ["--data.batch_size=2", "--data.max_rows=200", f"--trainer.max_steps={steps[-1]}"]
    validations = ["--trainer.val_check_interval=2", "--trainer.limit_val_batches=1"]
    short = ["--model.evaluation_sampler.max_new_tokens=2"]
    if model == "PPO":
        short += ["--model.samples_per_prompt=2", "--model.sampler.max_new_tokens=2"]
    code, _, err = qstar("fit", f"--model={model}", "--name=x", *batches, *validations, *short)
    assert code == 0, err
    assert steps_of("runs/x/version_0/metrics.csv") == steps
    last = "--ckpt_path=runs/x/version_0/checkpoints/last.ckpt"
    code, _, err = qstar("validate", last, "--trainer.limit_val_batches=1")
    assert code == 0, err
    assert steps_of("runs/x/validate/version_0/metrics.csv") == steps[-1:]


def steps_of(path):
    """Return the steps of the rows of validation, each of which says what training had cost by then."""
    with Path(path).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/perplexity"]]
    for budget in ("samples/total", "generated/total", "tokens/total", "time/wall_s"):
        values = [float(row[budget]) for row in rows]
        assert values == sorted(values)
        assert budget == "generated/total" or values[0] > 0
    return [row["step"] for row in rows]

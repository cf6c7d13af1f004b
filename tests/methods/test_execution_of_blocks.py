"""`gradient_checkpointing` and `torch_compile` of every kind of method: the same training, the same checkpoints."""

from pathlib import Path

import pytest
import torch

from qstar_pl.errors import UserError
from qstar_pl.methods import DPO, PPO, SFT, QStar, RewardModeling
from qstar_pl.models import FromCheckpoint, LoRA
from qstar_pl.samplers import PolicySampler


def trained(fit, data, module, **options):
    trainer = fit(module, data, **options)
    return trainer, {name: value.clone() for name, value in module.state_dict().items()}


def methods(policy_options, rollout_options):
    policy = policy_options["policy"]
    few = {"samples_per_prompt": 2, "sampler": PolicySampler(max_new_tokens=4)}
    return {
        "DPO": lambda **more: DPO(**policy_options, **more),
        "QStar": lambda **more: QStar(**rollout_options, **more),  # which trains in eval mode
        "PPO": lambda **more: PPO(**{**rollout_options, **few}, **more),
        "RewardModeling": lambda **more: RewardModeling(model=policy, **more),
        "LoRA": lambda **more: SFT(**{**policy_options, "policy": LoRA(policy, rank=2)}, **more),
    }


@pytest.mark.parametrize("name", ["DPO", "QStar", "PPO", "RewardModeling", "LoRA"])
def test_blocks_that_run_again_train_to_the_same_bits(fit, small_data, policy_options, rollout_options, name):
    make = methods(policy_options, rollout_options)[name]
    _, wanted = trained(fit, small_data(), make())
    _, got = trained(fit, small_data(), make(gradient_checkpointing=True))
    assert list(got) == list(wanted)
    assert all(torch.equal(got[key], value) for key, value in wanted.items())


@pytest.mark.parametrize("name", ["DPO", "QStar", "LoRA"])
def test_compiled_blocks_train_alike(fit, small_data, policy_options, rollout_options, name):
    make = methods(policy_options, rollout_options)[name]
    _, wanted = trained(fit, small_data(), make())
    _, got = trained(fit, small_data(), make(torch_compile="aot_eager", gradient_checkpointing=True))
    assert list(got) == list(wanted)
    for key, value in wanted.items():
        torch.testing.assert_close(got[key], value, rtol=1e-4, atol=1e-5)


def test_a_run_goes_on_with_or_without_them_and_is_exported_as_ever(fit, small_data, policy_options, tmp_path: Path):
    """`_orig_mod` and its like are in no checkpoint."""
    whole, wanted = trained(fit, small_data(), SFT(**policy_options), max_steps=3)
    first, _ = trained(fit, small_data(), SFT(**policy_options, gradient_checkpointing=True), max_steps=2)
    first.save_checkpoint(tmp_path / "part.ckpt")
    stored = torch.load(tmp_path / "part.ckpt", weights_only=True)["state_dict"]
    assert list(stored) == list(whole.lightning_module.state_dict())
    for more in ({}, {"gradient_checkpointing": True}):
        module = SFT(**policy_options, **more)
        _, got = trained(fit, small_data(), module, max_steps=3, ckpt_path=str(tmp_path / "part.ckpt"))
        assert all(torch.equal(got[key], value) for key, value in wanted.items())
    loaded = FromCheckpoint(str(tmp_path / "part.ckpt"), base=policy_options["policy"]).load()
    assert all(torch.equal(value, stored[f"policy.{key}"]) for key, value in loaded.state_dict().items())


def test_a_backend_that_is_none_is_refused_before_a_model_is_loaded(policy_options):
    with pytest.raises(UserError, match="torch_compile must be true, false or a backend"):
        SFT(**policy_options, torch_compile="gcc")

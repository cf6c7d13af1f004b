from dataclasses import replace
from pathlib import Path

import pytest
import torch
from reference.tiny_methods import LengthReward, TinyData, run, small_model
from transformers import AutoModelForCausalLM

from qstar_pl.errors import UserError
from qstar_pl.methods import DPO, PPO
from qstar_pl.models import FromCheckpoint, FromConfig, LoRA
from qstar_pl.models.lora import merge_adapters
from qstar_pl.samplers import PolicySampler
from qstar_pl.targets import Expert

pytest.importorskip("peft", reason="peft is part of the extra lora")

IDS = torch.tensor([[5, 6, 7, 8]])


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


def test_a_fresh_adapter_changes_nothing_and_trains_alone() -> None:
    model, base = LoRA(small_model(1), rank=2).load(), small_model(1).load()
    torch.testing.assert_close(logits(model), logits(base))
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable
    assert all("lora_" in name for name in trainable)
    assert not model.training
    again = LoRA(small_model(1), rank=2).load()
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))


def test_training_moves_adapters_and_leaves_the_base(tmp_path: Path, qstar) -> None:
    source = LoRA(small_model(1), rank=4)
    options = {"policy": source, "reward": None, "gold": None, "optimizer": lambda p: torch.optim.Adam(p, lr=1e-2)}
    module, _ = run(DPO(**options), TinyData(), max_steps=3)
    base = small_model(1).load().state_dict()
    trained = module.policy.state_dict()
    for name, weight in base.items():
        layer, _, kind = name.rpartition(".")
        kept = trained.get(name, trained.get(f"{layer}.base_layer.{kind}"))
        assert torch.equal(kept, weight), name
    assert (logits(module.policy) - logits(small_model(1).load())).abs().max() > 1e-4

    checkpoint = str(tmp_path / "lora.ckpt")
    module.trainer.save_checkpoint(checkpoint)
    loaded = FromCheckpoint(checkpoint, base=source).load()
    torch.testing.assert_close(logits(loaded), logits(module.policy))
    merge_adapters(loaded)
    assert loaded.state_dict().keys() == base.keys()
    torch.testing.assert_close(logits(loaded), logits(module.policy), atol=1e-5, rtol=1e-4)
    loaded.save_pretrained(tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(logits(merged), logits(module.policy), atol=1e-5, rtol=1e-4)


def test_a_reward_model_trains_its_head_as_a_whole() -> None:
    model = LoRA(small_model(1), rank=2).load_reward()
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert "score.weight" in trainable
    assert all("lora_" in name for name in trainable - {"score.weight"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank must be at least 1, got 0"),
        ({"alpha": 0.0}, "alpha must be positive, got 0.0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
    ],
)
def test_bad_options(options, message) -> None:
    with pytest.raises(UserError, match=message):
        LoRA(small_model(1), **options)


def test_layers_that_are_not_there() -> None:
    with pytest.raises(UserError, match=r"target_modules must name layers of the model, got \['nothing'\]"):
        LoRA(small_model(1), target_modules=["nothing"]).load()


def test_without_peft_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(UserError, match=r"pip install 'qstar-pl\[lora\]'"):
        LoRA(FromConfig(overrides={"n_layer": 1, "n_embd": 8, "n_head": 2})).load()


def trained_lora(folder: Path, rank: int = 4) -> tuple[LoRA, str, torch.Tensor]:
    """Return the source of a stage that trained adapters, its checkpoint, and the logits that it ended with."""
    source = LoRA(small_model(1), rank=rank)
    options = {"policy": source, "reward": None, "gold": None, "optimizer": lambda p: torch.optim.Adam(p, lr=1e-2)}
    module, _ = run(DPO(**options), TinyData(), max_steps=3)
    module.trainer.save_checkpoint(folder / "one.ckpt")
    assert (logits(module.policy) - logits(small_model(1).load())).abs().max() > 1e-3
    return source, str(folder / "one.ckpt"), logits(module.policy)


@pytest.mark.parametrize("earlier", ["merge", "continue"])
@pytest.mark.parametrize("rank", [4, 8])
def test_a_second_stage_starts_where_the_first_one_ended(tmp_path: Path, rank: int, earlier: str) -> None:
    source, checkpoint, end = trained_lora(tmp_path)
    second = LoRA(FromCheckpoint(checkpoint, base=source), rank=rank, earlier=earlier)
    model = second.load()
    torch.testing.assert_close(logits(model), end, atol=1e-5, rtol=1e-4)
    widths = {p.shape[0] for name, p in model.named_parameters() if "lora_A" in name}
    assert widths == {4 if earlier == "continue" else rank}
    # Stage two trains, and what it saves is the end of stage two.
    options = {"policy": second, "reward": None, "gold": None, "optimizer": lambda p: torch.optim.Adam(p, lr=1e-2)}
    module, _ = run(DPO(**options), TinyData(), max_steps=2)
    assert (logits(module.policy) - end).abs().max() > 1e-4
    torch.testing.assert_close(logits(module.reference), end, atol=1e-5, rtol=1e-4)
    module.trainer.save_checkpoint(tmp_path / "two.ckpt")
    again = FromCheckpoint(str(tmp_path / "two.ckpt"), base=second)
    torch.testing.assert_close(logits(again.load()), logits(module.policy))
    third = LoRA(again, rank=2).load()
    torch.testing.assert_close(logits(third), logits(module.policy), atol=1e-5, rtol=1e-4)


def test_new_adapters_beside_merged_ones_bring_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    source, checkpoint, _ = trained_lora(tmp_path)
    recwarn.clear()
    LoRA(FromCheckpoint(checkpoint, base=source), rank=4).load()
    assert not [str(w.message) for w in recwarn if "peft" in str(w.message)]


def test_a_reward_model_on_an_adapted_policy_has_its_backbone(tmp_path: Path) -> None:
    source, checkpoint, _ = trained_lora(tmp_path)
    policy = FromCheckpoint(checkpoint, base=source)
    states = policy.load().transformer(input_ids=IDS).last_hidden_state
    for reward in (policy, LoRA(policy, rank=2), LoRA(policy, earlier="continue")):
        got = reward.load_reward().transformer(input_ids=IDS).last_hidden_state
        torch.testing.assert_close(got, states, atol=1e-5, rtol=1e-4)
    other = replace(source, base=small_model(2))
    with pytest.raises(UserError, match="trained on other weights"):
        FromCheckpoint(checkpoint, base=other).load_reward()
    FromCheckpoint(checkpoint, base=other, accept_changed_models=True).load_reward()


def test_a_checkpoint_holds_adapters_and_heads_and_resumes_to_the_same_bits(tmp_path: Path) -> None:
    def ppo(steps: int, ckpt: str | None = None) -> PPO:
        options = {"target": Expert(small_model(2)), "samples_per_prompt": 2, "gold": None}
        module = PPO(
            policy=LoRA(small_model(1), rank=2),
            reward=LengthReward(),
            sampler=PolicySampler(max_new_tokens=6),
            optimizer=lambda p: torch.optim.Adam(p, lr=1e-2),
            **options,
        )
        return run(module, TinyData(), max_steps=steps, ckpt_path=ckpt)[0]

    half = ppo(2)
    half.trainer.save_checkpoint(tmp_path / "half.ckpt")
    state = torch.load(tmp_path / "half.ckpt", weights_only=True)["state_dict"]
    assert {name.split(".")[0] for name in state} == {"policy", "critic"}
    assert all("lora_" in name or name.startswith("critic.") for name in state)
    resumed, whole = ppo(4, str(tmp_path / "half.ckpt")), ppo(4)
    pairs = zip(resumed.named_parameters(), whole.named_parameters(), strict=True)
    assert all(torch.equal(one, other) for (_, one), (_, other) in pairs)
    bare = small_model(1).load()
    incomplete = {name: value for name, value in state.items() if "lora_B" not in name}
    with pytest.raises(UserError, match="missing"):
        resumed.load_state_dict(incomplete)
    assert sum(v.numel() for v in state.values()) < sum(p.numel() for p in bare.parameters()) / 3

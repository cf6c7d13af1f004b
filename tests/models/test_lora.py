from pathlib import Path

import pytest
import torch
from reference.tiny_methods import TinyData, run, small_model
from transformers import AutoModelForCausalLM

from qstar_pl.errors import UserError
from qstar_pl.methods import DPO
from qstar_pl.models import FromCheckpoint, FromConfig, LoRA
from qstar_pl.models.lora import merge_adapters

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

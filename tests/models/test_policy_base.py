"""A target on the policy's weights: its base, or its base with adapters of its own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from reference.tiny_methods import LengthReward, TinyData, ending_model, run, small_model

from qstar_pl.errors import UserError
from qstar_pl.generation.module import GenerationModule
from qstar_pl.methods import QStar
from qstar_pl.models import LoRA, PolicyBase
from qstar_pl.models.adapter_folder import write_adapter
from qstar_pl.models.adapters_off import AdaptersOff
from qstar_pl.models.other_adapters import OtherAdapters
from qstar_pl.models.stacked import Stacked, stacked
from qstar_pl.samplers import GeometricSampler
from qstar_pl.targets import Expert

pytest.importorskip("peft", reason="peft is part of the extra lora")

IDS = torch.tensor([[5, 6, 7, 8], [9, 5, 4, 3]])
CLOCKS = ("time/", "tokens/per_s", "memory/")


def adapted(source: Any, seed: int = 0, **options: Any) -> Any:
    """Return a model whose adapters do something."""
    model = LoRA(source, **{"rank": 2, **options}).load()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def folder(path: Path, source: Any, **options: Any) -> str:
    """Write adapters of a model as `qstar export --adapter_only` does."""
    model = adapted(source, seed=7, **options)
    write_adapter(model, source.tokenizer(), path, "base")
    return str(path)


def said(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def storages(module: Any) -> int:
    return sum(size for _, size in {(p.data_ptr(), p.untyped_storage().nbytes()) for p in module.parameters()})


def train(model: Any) -> tuple[Any, dict[str, float]]:
    module = QStar(
        policy=LoRA(ending_model(1), rank=2),
        gold=None,
        reward=LengthReward(),
        samples_per_prompt=2,
        target=Expert(model),
        sampler=GeometricSampler(max_new_tokens=6),
        optimizer=lambda p: torch.optim.Adam(p, lr=1e-2),
    )
    return run(module, TinyData(), max_steps=2, limit_val_batches=0)


class Another(type(ending_model(1))):  # type: ignore[misc]
    """The same weights from what is no equal source: they are loaded once more."""


def test_training_beside_the_base_is_training_beside_a_copy_of_it() -> None:
    same = ending_model(1)
    (copied, wanted), *shared = (train(one) for one in (Another(**vars(same)), same, PolicyBase()))
    assert not isinstance(copied.target.expert, AdaptersOff)
    numbers = {key: value for key, value in wanted.items() if not key.startswith(CLOCKS)}
    assert "alpha/mean" in numbers
    base = sum(p.numel() * p.element_size() for p in ending_model(1).load().parameters())
    for module, got in shared:
        assert isinstance(module.target.expert, AdaptersOff)
        assert {key: got[key] for key in numbers} == pytest.approx(numbers, rel=1e-5, abs=1e-6)
        assert storages(copied) - storages(module) >= base
        for one, other in zip(copied.policy.parameters(), module.policy.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("policy", ["adapted", "plain"])
def test_adapters_of_its_own_on_the_same_base(tmp_path: Path, policy: str) -> None:
    """What peft makes of base and folder, in one pass beside the policy, and the policy as it was."""
    source = small_model(1)
    own = folder(tmp_path / "expert", source, rank=3, alpha=4.5, target_modules=["c_fc", "c_attn"])
    wanted = said(adapted(source, seed=7, rank=3, alpha=4.5, target_modules=["c_fc", "c_attn"]))
    kept: Any = source if policy == "plain" else LoRA(source, rank=2)
    module = GenerationModule(kept, Expert(PolicyBase(own)), GeometricSampler(max_new_tokens=4), seed=3)
    before = said(kept.load())
    module.build_models()
    expert = module.target.expert  # type: ignore[union-attr]
    assert isinstance(expert, OtherAdapters)
    assert not list(expert.parameters())
    torch.testing.assert_close(said(expert), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(said(module.policy), before)
    assert (wanted - before).abs().max() > 1e-2
    other: Any = GenerationModule(LoRA(small_model(2)), Expert(PolicyBase(own)))
    other.build_models()
    assert other.fingerprints()["model_t"] != module.fingerprints()["model_t"]
    both = stacked(module.policy_tokens, module.target.tokens)  # type: ignore[union-attr]
    assert isinstance(both, Stacked)
    together = both.model(input_ids=IDS.repeat(2, 1)).logits
    torch.testing.assert_close(together, torch.cat([before, wanted]), atol=1e-5, rtol=1e-5)
    assert sorted(key.split(".")[-1] for key in module.target.state_dict()) == ["down", "down", "up", "up"]  # type: ignore[union-attr]


def test_what_does_not_fit(tmp_path: Path) -> None:
    source, drawing = small_model(1), {"gold": None, "reward": LengthReward()}
    with pytest.raises(UserError, match=r"policy must have adapters \(LoRA\) for PolicyBase, got FromConfig"):
        QStar(policy=source, target=Expert(PolicyBase()), **drawing)
    with pytest.raises(UserError, match=r"policy must have adapters \(LoRA\) for PolicyBase, got FromConfig"):
        GenerationModule(source, Expert(PolicyBase()))
    with pytest.raises(UserError, match=r"PolicyBase must be the model of a target beside a policy, got no policy"):
        PolicyBase().load()
    with pytest.raises(UserError, match=r"adapter must be a folder .*, got .*nowhere: .*adapter_config.json"):
        QStar(policy=LoRA(source), target=Expert(PolicyBase(str(tmp_path / "nowhere"))), **drawing)

    def build(own: str) -> None:
        GenerationModule(source, Expert(PolicyBase(own))).build_models()

    wider = type(source)(model_type="gpt2", overrides={**source.overrides, "n_embd": 32}, seed=1)
    with pytest.raises(UserError, match=r"adapter must fit the policy's base, got .* with 32 inputs and 96 outputs"):
        build(folder(tmp_path / "wider", wider))
    deeper = type(source)(model_type="gpt2", overrides={**source.overrides, "n_layer": 2}, seed=1)
    with pytest.raises(
        UserError, match=r"adapter must fit .* for transformer.h.1.attn.c_attn, which is no layer there"
    ):
        build(folder(tmp_path / "deeper", deeper))
    config = tmp_path / "deeper" / "adapter_config.json"
    config.write_text(config.read_text().replace('"use_dora": false', '"use_dora": true'))
    with pytest.raises(UserError, match=r"adapter must be .* plain LoRA, got .* with use_dora"):
        build(str(tmp_path / "deeper"))

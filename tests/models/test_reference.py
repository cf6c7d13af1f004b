"""π_init as the policy without its adapters: what a second copy says, without its memory."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from reference.tiny_methods import LengthReward, TinyData, ending_model, run, small_model

from qstar_pl.callbacks import LaggedReference
from qstar_pl.errors import UserError
from qstar_pl.methods import DPO, LEDPO, PPO, SFT, QStar
from qstar_pl.models import AdapterOff, FromCheckpoint, LanguageModel, LoRA, OwnCopy
from qstar_pl.models.adapters_off import AdaptersOff, without_adapters
from qstar_pl.samplers import GeometricSampler, PolicySampler
from qstar_pl.targets import Expert, RewardTilted
from qstar_pl.types import PromptBatch

pytest.importorskip("peft", reason="peft is part of the extra lora")

IDS = torch.tensor([[5, 6, 7, 8], [9, 5, 4, 3]])
CLOCKS = ("time/", "tokens/per_s", "memory/")
COMMON: dict[str, Any] = {"policy": LoRA(ending_model(1), rank=2), "gold": None}
DRAWING: dict[str, Any] = {**COMMON, "reward": LengthReward(), "samples_per_prompt": 2, "kl_coefficient": 0.5}
METHODS = {
    "SFT": lambda **more: SFT(**COMMON, reward=None, **more),
    "SFT, compiled": lambda **more: SFT(**COMMON, reward=None, torch_compile="aot_eager", **more),
    "DPO": lambda **more: DPO(
        policy=LoRA(ending_model(1), rank=2, dropout=0.3), gold=None, reward=None, gradient_checkpointing=True, **more
    ),
    "LEDPO": lambda **more: LEDPO(**COMMON, reward=None, **more),
    "PPO": lambda **more: PPO(
        **DRAWING, target=Expert(ending_model(2)), sampler=PolicySampler(max_new_tokens=6), **more
    ),
    "QStar": lambda **more: QStar(
        **DRAWING, target=Expert(ending_model(2)), sampler=GeometricSampler(max_new_tokens=6), **more
    ),
}


def adapted(seed: int = 1, **options: Any) -> Any:
    """Return a model whose adapters do something."""
    model = LoRA(small_model(seed), rank=2, **options).load()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def said(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def storages(module: Any) -> int:
    return sum(size for _, size in {(p.data_ptr(), p.untyped_storage().nbytes()) for p in module.parameters()})


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if "compiled" in name else []) for name in METHODS]
)
def test_training_is_the_same_in_less_memory(name: str) -> None:
    def learn(reference: Any) -> tuple[Any, dict[str, float]]:
        module = METHODS[name](reference=reference, optimizer=lambda p: torch.optim.Adam(p, lr=1e-2))
        return run(module, TinyData(), max_steps=2, limit_val_batches=1, val_check_interval=2)

    (copied, wanted), (shared, got) = learn(OwnCopy()), learn(None)
    assert isinstance(shared.reference, AdaptersOff)
    assert not isinstance(copied.reference, AdaptersOff)
    numbers = [{key: value for key, value in one.items() if not key.startswith(CLOCKS)} for one in (wanted, got)]
    assert "val/kl_policy_reference" in numbers[0] or "kl/policy_reference" in numbers[0]
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-6, abs=1e-6)
    assert all(
        torch.allclose(one, other, atol=1e-6)
        for one, other in zip(copied.policy.parameters(), shared.policy.parameters(), strict=True)
    )
    base = sum(p.numel() * p.element_size() for p in small_model(1).load().parameters())
    assert storages(copied) - storages(shared) >= base
    assert {name.split(".")[0] for name in shared.state_dict()} <= {"policy", "critic", "beta_head"}


def test_a_target_may_tilt_it_and_token_by_token_it_says_the_same() -> None:
    def drawn(reference: Any) -> torch.Tensor:
        target = RewardTilted(model=small_model(3), beta=0.7)
        module = QStar(
            **DRAWING, target=target, sampler=GeometricSampler(max_new_tokens=6), reference=reference,
            optimizer=lambda p: torch.optim.Adam(p, lr=1e-2),
        )  # fmt: skip
        return run(module, TinyData(), max_steps=2)[1]["alpha/mean"]

    assert drawn(AdapterOff()) == pytest.approx(drawn(OwnCopy()), rel=1e-6)


def test_sessions_of_both_go_on_side_by_side() -> None:
    model = adapted()
    policy, reference = LanguageModel(model), LanguageModel(without_adapters(model))
    base = LanguageModel(small_model(1).load())
    prompts = PromptBatch(IDS, torch.tensor([[False, True, True, True], [True] * 4]), torch.arange(2), ())
    with torch.no_grad():
        sessions = [one.start(prompts, 2) for one in (policy, reference, base)]
        for token in (7, 11, 13):
            own, off, plain = (session.logits for session in sessions)
            torch.testing.assert_close(off, plain, atol=1e-6, rtol=1e-6)
            assert (own - off).abs().max() > 1e-2
            for session in sessions:
                session.advance(torch.full((4,), token))


def test_a_pass_between_forward_and_backward_changes_no_gradient() -> None:
    model = adapted(dropout=0.0).train()
    reference = without_adapters(model)

    def gradients(between: bool) -> list[torch.Tensor]:
        model.zero_grad()
        loss = model(input_ids=IDS).logits.square().mean()
        if between:
            off = reference(input_ids=IDS).logits
            assert not off.requires_grad
            loss = loss + 0.0 * off.sum()
        loss.backward()
        return [p.grad.clone() for p in model.parameters() if p.requires_grad]

    for alone, beside in zip(gradients(False), gradients(True), strict=True):
        assert torch.equal(alone, beside)
    assert model.training
    assert not reference.train().training


def test_adapters_are_on_again_whatever_happens_inside() -> None:
    model = adapted(dropout=0.5).train()
    reference, trains = without_adapters(model), [p.requires_grad for p in model.parameters()]
    modes = [part.training for part in model.modules()]
    torch.testing.assert_close(said(reference), said(small_model(1).load()))

    inside: list[torch.Tensor] = []

    def fails(*_: Any) -> None:
        if not inside:
            inside.append(torch.empty(0))
            inside.append(said(AdaptersOff(model)))  # nested
            inside.append(said(model))  # the outer block still holds
            raise KeyError("inside")

    handle = model.lm_head.register_forward_pre_hook(fails)
    with pytest.raises(KeyError, match="inside"):
        said(reference)
    handle.remove()
    for values in inside[1:]:
        torch.testing.assert_close(values, said(small_model(1).load()))
    assert [part.training for part in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == trains
    model.eval()
    assert (said(model) - said(reference)).abs().max() > 1e-2


def test_a_copy_of_both_belongs_together() -> None:
    model = adapted()
    other, reference = copy.deepcopy((model, without_adapters(model)))
    assert reference.adapted is other
    torch.testing.assert_close(said(reference), said(small_model(1).load()))


def test_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def learn(steps: int, ckpt: str | None = None) -> Any:
        module = METHODS["QStar"](optimizer=lambda p: torch.optim.Adam(p, lr=1e-2))
        return run(module, TinyData(), max_steps=steps, ckpt_path=ckpt)[0]

    path = str(tmp_path / "two.ckpt")
    learn(2).trainer.save_checkpoint(path)
    resumed, whole = learn(4, path), learn(4)
    assert all(map(torch.equal, resumed.policy.parameters(), whole.policy.parameters()))
    # A stage on top of it starts at its end, which its merged base is.
    second = LoRA(FromCheckpoint(path, base=COMMON["policy"]), rank=2)
    module = DPO(policy=second, gold=None, reward=None, optimizer=lambda p: torch.optim.Adam(p, lr=1e-2))
    run(module, TinyData(), max_steps=2)
    assert isinstance(module.reference, AdaptersOff)
    torch.testing.assert_close(said(module.reference), said(second.load()), atol=1e-6, rtol=1e-5)


def test_where_the_start_has_weights_of_its_own() -> None:
    plain = {"gold": None, "reward": None}
    with pytest.raises(UserError, match="policy must be LoRA for reference AdapterOff, got FromConfig"):
        DPO(policy=small_model(1), reference=AdapterOff(), **plain)
    goes_on = LoRA(small_model(1), earlier="continue")
    with pytest.raises(UserError, match="earlier must be merge for reference AdapterOff, got continue: adapters"):
        DPO(policy=goes_on, reference=AdapterOff(), **plain)
    for policy in (small_model(1), goes_on):
        module = DPO(policy=policy, **plain)
        module.build_models()
        assert not isinstance(module.reference, AdaptersOff)

    def lagged(reference: Any) -> Any:
        follow: Callback = LaggedReference(every_n_steps=1)
        module = DPO(**COMMON, reward=None, reference=reference, optimizer=lambda p: torch.optim.Adam(p, lr=1e-2))
        return run(module, TinyData(), max_steps=1, more_callbacks=[follow])[0]

    moved = lagged(None)
    torch.testing.assert_close(said(moved.reference), said(moved.policy))
    with pytest.raises(UserError, match="reference must be OwnCopy for LaggedReference"):
        lagged(AdapterOff())

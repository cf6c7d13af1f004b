"""One pass for two models that share their weights: what each of them says alone, and nothing changed by it."""

import gc
import warnings
import weakref
from typing import Any

import pytest
import torch
from reference.tiny_methods import small_model
from transformers import AutoConfig, AutoModelForCausalLM

from qstar_pl.generation.generator import InMemory
from qstar_pl.models import LanguageModel, LoRA
from qstar_pl.models import stacked as stacked_module
from qstar_pl.models.adapters_off import without_adapters
from qstar_pl.models.probe import TOLERANCE, difference
from qstar_pl.models.stacked import Apart, Stacked, StackedModel, stacked
from qstar_pl.types import PromptBatch

pytest.importorskip("peft", reason="peft is part of the extra lora")

IDS = torch.tensor([[5, 6, 7, 8], [9, 5, 4, 3]])


def adapted(source: Any = None, **options: Any) -> Any:
    """Return a model whose adapters do something."""
    model = LoRA(source or small_model(1), rank=2, **options).load()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def pair(model: Any) -> tuple[LanguageModel, LanguageModel]:
    return LanguageModel(model), LanguageModel(without_adapters(model))


@pytest.mark.parametrize("adapters_first", [True, False])
def test_sessions_of_both_say_what_each_says_alone(adapters_first: bool) -> None:
    first, second = pair(adapted()) if adapters_first else pair(adapted())[::-1]
    both = stacked(first, second)
    assert isinstance(both, Stacked)
    own = PromptBatch(IDS, torch.tensor([[False, True, True, True], [True] * 4]), torch.arange(2), ())
    # The other reads the prompts in other words, which are longer.
    other = PromptBatch(IDS.repeat(1, 2), torch.tensor([[False] * 2 + [True] * 6, [True] * 8]), torch.arange(2), ())
    session = both.start_both(own, other, 2)
    alone = [first.start(own, 2), second.start(other, 2)]
    rows = torch.arange(4)
    for token in (7, 11, 13):
        expected = [one.logits for one in alone]
        assert (expected[0] - expected[1]).abs().max() > 1e-2
        torch.testing.assert_close(session.logits, torch.cat(expected), atol=1e-6, rtol=1e-6)
        tokens = torch.arange(token, token + len(rows))
        session.advance(tokens.repeat(2))
        for one in alone:
            one.advance(tokens)
        rows = torch.tensor([0, 2, 3]) if len(rows) == 4 else torch.arange(3)
        session.select(torch.cat([rows, rows + len(session.logits) // 2]))
        for one in alone:
            one.select(rows)
    block = torch.tensor([[5, 6], [7, 8], [9, 10]])
    said = torch.cat([one.extend(block) for one in alone])
    torch.testing.assert_close(session.extend(block.repeat(2, 1)), said, atol=1e-6, rtol=1e-6)


def test_it_leaves_modes_gradients_and_layers_as_they_were() -> None:
    model = adapted(dropout=0.5).train()
    first, second = pair(model)
    both = stacked(first, second)
    assert isinstance(both, Stacked)
    assert stacked(*pair(model)) is not both  # of another view of the weights
    assert stacked(LanguageModel(model), second) is both
    modes, forwards = [part.training for part in model.modules()], [part.forward for part in model.modules()]

    def gradients(between: bool) -> list[torch.Tensor]:
        model.zero_grad()
        torch.manual_seed(0)
        loss = model(input_ids=IDS).logits.square().mean()
        if between:
            said = both.model(input_ids=IDS.repeat(2, 1)).logits
            assert not said.requires_grad
            loss = loss + 0.0 * said.sum()
        loss.backward()
        return [p.grad.clone() for p in model.parameters() if p.requires_grad]

    assert all(map(torch.equal, gradients(False), gradients(True)))

    def fails(*_: Any) -> None:
        raise KeyError("inside")

    handle = model.lm_head.register_forward_pre_hook(fails)
    with pytest.raises(KeyError, match="inside"):
        both.model(input_ids=IDS)
    handle.remove()
    assert [part.training for part in model.modules()] == modes
    assert [part.forward for part in model.modules()] == forwards
    assert not list(both.model.parameters())


def test_models_that_share_nothing_are_no_pair() -> None:
    first, other = pair(adapted())[0], pair(adapted())[1]
    assert stacked(first, other) is None
    assert stacked(first, LanguageModel(first.model)) is None


@pytest.mark.parametrize("view_first", [True, False])
def test_what_is_known_of_a_pair_goes_with_it(view_first: bool) -> None:
    models = pair(adapted())[:: -1 if view_first else 1]
    assert isinstance(stacked(*models), Stacked)
    gone = [weakref.ref(one.model) for one in models]
    del models
    gc.collect()  # the view
    gc.collect()  # what was kept for it
    assert [one() for one in gone] == [None, None]


def dora() -> Any:
    from peft import LoraConfig, inject_adapter_in_model

    model = small_model(1).load()
    inject_adapter_in_model(LoraConfig(r=2, use_dora=True, fan_in_fan_out=True, task_type="CAUSAL_LM"), model)
    return model.eval()


def merged() -> Any:
    model = adapted()
    model.transformer.h[0].attn.c_attn.merge()
    return model


def on_embedding() -> Any:
    return adapted(target_modules=["wte"])


@pytest.mark.parametrize(
    ("make", "why"), [(dora, "more than a low-rank term"), (merged, "is merged"), (on_embedding, "not plain LoRA")]
)
def test_what_is_read_one_after_the_other(make: Any, why: str) -> None:
    models = pair(make())
    with pytest.warns(UserWarning, match=f"share their weights, and take a pass each for a token: .*{why}"):
        found = stacked(*models)
    assert isinstance(found, Apart)
    assert why in found.why
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert stacked(*models) is found  # said once


def test_rows_in_another_order_are_noticed_before_adapters_add_anything() -> None:
    class Shuffling(torch.nn.Module):
        """A router of experts: the inner layer is given some of the tokens."""

        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            order = x.reshape(-1, x.shape[-1])[:, 0].argsort()
            said = self.inner(x.reshape(-1, x.shape[-1])[order][: len(order) - 1])
            out = said.new_zeros(len(order), said.shape[-1])
            out[order[:-1]] = said
            return out.view(*x.shape[:-1], -1)

    model = LoRA(small_model(1), rank=2, target_modules=["c_fc"]).load()
    model.transformer.h[0].mlp.c_fc = Shuffling(model.transformer.h[0].mlp.c_fc)
    with pytest.warns(UserWarning, match="does not keep the rows of a batch in their order"):
        assert isinstance(stacked(*pair(model)), Apart)


def deep() -> Any:
    """Return a model in bfloat16 whose layers make much of a rounded digit."""
    torch.manual_seed(0)
    sizes = {"n_embd": 32, "n_head": 2, "n_layer": 24, "vocab_size": 64, "n_positions": 32}
    config = AutoConfig.for_model("gpt2", **sizes, initializer_range=0.3, bos_token_id=None, eos_token_id=None)
    return adapted(InMemory(AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval(), None))


class Rounding(StackedModel):
    """Rounds otherwise in a pass of twice as many rows, as large matrices do."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with stacked_module._rounded(self.layers):
            return super().forward(*args, **kwargs)


class Moving(Rounding):
    """Says of every row what is true of the one before it."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        said = super().forward(*args, **kwargs)
        said.logits = said.logits.roll(1, 0)
        return said


def test_rounding_of_a_deep_model_in_half_precision_is_no_other_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacked_module, "StackedModel", Rounding)
    monkeypatch.setitem(TOLERANCE, torch.bfloat16, 0.005)  # 28 layers of width 1536 exceed what it is by default
    models = pair(deep())
    both = stacked(*models)
    assert isinstance(both, Stacked)
    alone = torch.cat([one.model(**one.reader.inputs(IDS, None, None)).logits for one in models])
    said = both.model(**both.reader.inputs(IDS.repeat(2, 1), None, None)).logits
    # It is what this test is about: by itself the difference is too large, though far from that of other tokens.
    assert 0.01 < difference(alone.flatten(0, 1), said.flatten(0, 1)) < 0.2
    monkeypatch.setattr(stacked_module, "StackedModel", Moving)
    with pytest.warns(UserWarning, match="does not keep the rows of a batch in their order"):
        assert isinstance(stacked(*pair(deep())), Apart)

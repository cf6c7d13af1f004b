"""What the probe finds; tests/models/test_families.py asks it of many architectures."""

from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from reference.tiny_models import SIZES, prompt_batch, random_model, word_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

from qstar_pl.errors import UserError
from qstar_pl.models import FromConfig, LanguageModel, RewardModel
from qstar_pl.models.reading import Reading


def passes(model: Any) -> list[int]:
    calls: list[int] = []
    model.register_forward_pre_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_rounding_is_no_difference(dtype: torch.dtype) -> None:
    for family in SIZES:
        assert LanguageModel(random_model(family).to(dtype)).reading == Reading("left", cache=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["bert", "roformer", "electra"])
def test_a_model_that_sees_what_follows_is_refused_in_any_precision(family: str, dtype: torch.dtype) -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    small |= {"initializer_range": 0.3}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, vocab_size=20, **small)).eval().to(dtype)
    with pytest.raises(UserError, match=f"causal language model, got {family}, in which") as error:
        LanguageModel(model).start(prompt_batch([[3, 4]]), 1)
    assert "\n" not in str(error.value)


def test_weights_are_asked_once_whoever_wraps_them() -> None:
    model = random_model("gpt2")
    first = LanguageModel(model).reading
    calls = passes(model)
    assert LanguageModel(model, word_tokenizer()).reading is first
    assert not calls


def test_modes_gradients_and_random_state_are_left_alone() -> None:
    model = random_model("gpt2").train()
    state = torch.get_rng_state()
    with torch.autocast("cpu", torch.bfloat16):
        reading = LanguageModel(model).reading
    assert reading == Reading("left", cache=True)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_that_disregards_masks_is_padded_where_it_cannot_look(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model("llama")
    forward = type(model).forward

    @wraps(forward)  # with its signature: mask and positions are taken, and made nothing of
    def deaf(self: Any, *args: Any, attention_mask: Any = None, position_ids: Any = None, **kwargs: Any) -> Any:
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(model), "forward", deaf)
    tokens = LanguageModel(model)
    assert tokens.reading == Reading("right", cache=False)
    answers, mask = torch.tensor([[4, 9, 2], [2, 6, 6]]), torch.ones(2, 3, dtype=torch.bool)
    prompts, index = [[3, 4, 5, 6], [7, 8]], torch.tensor([0, 1])
    found = tokens.completion_logits(prompt_batch(prompts, pads=2), index, answers, mask)
    for row, (prompt, answer) in enumerate(zip(prompts, answers.tolist(), strict=True)):
        alone = forward(model, torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        torch.testing.assert_close(found[row], alone, rtol=1e-6, atol=1e-6)
    _, states = tokens.completion_states(prompt_batch(prompts, pads=2), index, answers, mask)
    torch.testing.assert_close(model.get_output_embeddings()(states), found)


def test_rewards_of_padded_rows_are_those_of_each_alone(tmp_path: Path) -> None:
    word_tokenizer(tmp_path)
    small = {"vocab_size": 11, "hidden_size": 16, "n_layer": 2, "n_head": 2}
    scorer = RewardModel(FromConfig("bloom", small, tokenizer_name=str(tmp_path)).load_reward())
    batch = prompt_batch([[3, 4, 5, 6, 7], [8, 9]], pads=4)
    together = scorer.score(batch.prompt_ids, batch.prompt_mask)
    alone = [
        scorer.score(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.bool))
        for row in ([3, 4, 5, 6, 7], [8, 9])
    ]
    torch.testing.assert_close(together, torch.cat(alone))


def test_a_head_that_is_not_at_every_token_is_one_line(tmp_path: Path) -> None:
    word_tokenizer(tmp_path)
    small = {"vocab_size": 11, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    with pytest.raises(UserError, match="a scalar head called score, got bert"):
        RewardModel(FromConfig("bert", small, tokenizer_name=str(tmp_path)).load_reward())


@pytest.mark.parametrize(
    "angles",
    [
        {"rope_type": "dynamic", "factor": 4.0},
        {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [3.0] * 4, "factor": 4.0},
        {"rope_type": "yarn", "factor": 4.0},
        {"rope_type": "linear", "factor": 4.0},
    ],
)
def test_angles_that_depend_on_the_length_are_exact_up_to_it_and_refused_beyond(angles: dict[str, Any]) -> None:
    """Beyond it, what was kept of the first tokens has other angles than a longer sequence gives them."""
    growing = angles["rope_type"] in ("dynamic", "longrope")
    own = 8 if angles["rope_type"] != "dynamic" else None
    given = {**angles, "rope_theta": 1e4, **({} if own is None else {"original_max_position_embeddings": own})}
    limit = 8 if growing else 32
    sizes = {**SIZES["llama"], "max_position_embeddings": 8 if own is None else 32, "rope_parameters": given}
    torch.manual_seed(0)
    config = AutoConfig.for_model("llama", **sizes, vocab_size=11, initializer_range=0.5, eos_token_id=1)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float64).eval()
    tokens, rows = LanguageModel(model), [[3, 4, 5], [6]]
    session = tokens.start(prompt_batch(rows), 1)
    for _ in range(limit - 3):
        session.advance(torch.tensor([7, 8]))
    for row, (prompt, token) in enumerate(zip(rows, (7, 8), strict=True)):
        alone = model(torch.tensor([prompt + [token] * (limit - 3)])).logits[0, -1]
        torch.testing.assert_close(session.logits[row], alone.detach(), rtol=1e-6, atol=1e-6)
    with pytest.raises(UserError, match=f"the model's {limit} positions.*got {limit + 1}"):
        session.advance(torch.tensor([7, 8]))


def test_a_compiled_model_is_read_by_the_arguments_of_the_one_inside() -> None:
    model = random_model("gpt2")
    compiled = torch.compile(model, backend="eager")
    batch = prompt_batch([[3, 4, 5], [6]], pads=2)
    expected = LanguageModel(model).start(batch, 2).logits
    torch.testing.assert_close(LanguageModel(compiled).start(batch, 2).logits, expected)


def test_what_a_model_keeps_in_a_form_of_its_own_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older models return tuples of tensors, which nothing here can repeat: they are read again instead."""
    model = random_model("gpt2")
    expected = LanguageModel(model).start(prompt_batch([[3, 4, 5], [6]]), 2).logits
    forward = type(model).forward

    @wraps(forward)
    def old(self: Any, *args: Any, **kwargs: Any) -> Any:
        output = forward(self, *args, **kwargs)
        output.past_key_values = ((torch.zeros(1), torch.zeros(1)),)
        return output

    monkeypatch.setattr(type(model), "forward", old)
    other = LanguageModel(random_model("gpt2"))
    assert other.reading == Reading("left", cache=False)
    torch.testing.assert_close(other.start(prompt_batch([[3, 4, 5], [6]]), 2).logits, expected)

"""tests/targets/test_top_k_reward_tilted.py asks these numbers in four architectures; here: shapes, repeats, limits."""

from pathlib import Path

import pytest
import torch
from reference.tiny_models import SIZES, word_tokenizer

from qstar_pl.errors import UserError
from qstar_pl.models import FromConfig, RewardModel
from qstar_pl.models.prefix_rewards import PrefixRewards


@pytest.fixture(params=["sdpa", "eager"])
def scorer(request, tmp_path: Path) -> RewardModel:
    word_tokenizer(tmp_path)
    overrides = {**SIZES["llama"], "vocab_size": 11, "initializer_range": 0.5}
    source = FromConfig(
        "llama", overrides, tokenizer_name=str(tmp_path), dtype="float64", attn_implementation=request.param
    )
    return RewardModel(source.load_reward())


def alone(scorer: RewardModel, ids: list[int]) -> float:
    return float(scorer.score(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool)).detach())


def test_candidates_see_their_own_prefix_and_not_each_other(scorer: RewardModel) -> None:
    prefixes = PrefixRewards(scorer)
    ids, mask = torch.tensor([[3, 4, 5], [0, 0, 6]]), torch.tensor([[1, 1, 1], [0, 0, 1]], dtype=torch.bool)
    ends = torch.tensor([2, 2, 2])
    first = prefixes.read(ids, mask, torch.tensor([[7, 8, 9], [9, 7, 1]]), ends)
    for row, head in enumerate([[3, 4, 5], [6]]):
        expected = [alone(scorer, [*head, token]) for token in [[7, 8, 9], [9, 7, 1]][row]]
        assert first[row].tolist() == pytest.approx(expected, abs=1e-5)
    prefixes.repeat(2)
    token = torch.tensor([[7], [10], [1], [4]])
    second = prefixes.read(token, torch.ones_like(token, dtype=torch.bool), token.expand(4, 2), torch.tensor([3, 2]))
    for row, head in enumerate([[3, 4, 5], [3, 4, 5], [6], [6]]):
        new = int(token[row])
        assert second[row].tolist() == pytest.approx(
            [alone(scorer, [*head, new, new]), alone(scorer, [*head, new])], abs=1e-5
        )
    assert prefixes.length == 4


def test_too_long_is_one_line(tmp_path: Path) -> None:
    word_tokenizer(tmp_path)
    overrides = {**SIZES["gpt2"], "vocab_size": 11, "n_positions": 8}
    scorer = RewardModel(FromConfig("gpt2", overrides, tokenizer_name=str(tmp_path)).load_reward())
    ids, end = torch.tensor([[3, 4, 5, 3, 4, 5, 3]]), torch.tensor([6])
    prefixes = PrefixRewards(scorer)
    prefixes.read(ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([[6]]), end)
    with pytest.raises(UserError, match="8 positions"):
        prefixes.read(ids[:, :1], torch.ones(1, 1, dtype=torch.bool), torch.tensor([[6]]), end + 1)


@pytest.mark.parametrize("family", ["mistral", "gemma2", "qwen2"])
def test_a_sliding_window_that_prefix_and_candidates_outgrow_is_one_line(family: str, tmp_path: Path) -> None:
    """Inside the window the numbers are right; beyond it the cache has dropped what the candidates should see."""
    word_tokenizer(tmp_path)
    own = {"use_sliding_window": True, "max_window_layers": 1} if family == "qwen2" else {"head_dim": 8}
    overrides = {**SIZES["qwen2"], "vocab_size": 11, "initializer_range": 0.5, "sliding_window": 12, **own}
    scorer = RewardModel(FromConfig(family, overrides, tokenizer_name=str(tmp_path), dtype="float32").load_reward())
    ids = torch.tensor([[3, 4, 5, 6, 7, 8]])
    prefixes = PrefixRewards(scorer)
    rewards = prefixes.read(ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([[7, 9]]), torch.tensor([5, 5]))
    expected = [alone(scorer, [*ids[0].tolist(), token]) for token in (7, 9)]
    assert rewards[0].tolist() == pytest.approx(expected, abs=1e-4)
    with pytest.raises(UserError, match=r"sliding window of 12 columns, got 12 \+ 1"):
        prefixes.read(ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([[7]]), torch.tensor([11]))


def test_models_without_masks_per_query_are_refused_in_one_line(tmp_path: Path) -> None:
    """BLOOM and MPT add their biases by column; Jamba's state has no queries. Each would give other numbers."""
    word_tokenizer(tmp_path)
    small = {"vocab_size": 11, "n_layer": 2, "n_head": 2, "hidden_size": 16}
    source = FromConfig("bloom", small, tokenizer_name=str(tmp_path))
    with pytest.raises(UserError, match=r"a mask for each query .* got bloom") as error:
        PrefixRewards(RewardModel(source.load_reward()))
    assert "\n" not in str(error.value)

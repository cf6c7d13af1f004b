"""What the target says on its own; tests/samplers/test_candidate_set.py draws from it."""

from collections.abc import Sequence

import pytest
import torch
from reference.targets import best_of
from reference.tiny_models import prompt_batch, random_model, word_tokenizer
from transformers import PreTrainedTokenizerBase

from qstar_pl.models import LanguageModel, NextToken
from qstar_pl.qstar import BestOfN
from qstar_pl.rewards import Reward
from qstar_pl.samplers import PolicySampler
from qstar_pl.targets import CandidateTarget
from qstar_pl.types import Rollout


class Remembered(Reward):
    """Gives the rewards 0, 1, … in the order of the answers and remembers their texts."""

    def build(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.built = True

    def score(self, rollout: Rollout, completions: Sequence[str]) -> torch.Tensor:
        self.completions = list(completions)
        return torch.arange(len(completions)).float() % 4


def test_best_of_n_per_prompt() -> None:
    reward = Remembered()
    target = CandidateTarget(BestOfN(2), reward)
    with pytest.raises(RuntimeError, match="build"):
        _ = target.tokenizer
    tokenizer = word_tokenizer()
    target.build(random_model(), tokenizer)
    assert reward.built
    assert not isinstance(target, NextToken)
    model = LanguageModel(random_model().float())
    pool = PolicySampler(max_new_tokens=4).draw(prompt_batch([[3], [4]]), model, model, samples=3, seed=0)
    probs = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.1, 0.8]], dtype=torch.float64)
    law = target.candidate_logprobs(pool, probs.log()).exp()
    for row, rewards in enumerate([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]]):
        assert law[row].tolist() == pytest.approx(best_of(probs[row].tolist(), rewards, 2), abs=1e-12)
    expected = [
        tokenizer.decode(i[m], skip_special_tokens=True)
        for i, m in zip(pool.completion_ids, pool.completion_mask, strict=True)
    ]
    assert reward.completions == expected

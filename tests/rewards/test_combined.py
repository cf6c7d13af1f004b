from collections.abc import Sequence

import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.rewards import Reward, WeightedSum
from qstar_pl.rollout import Alone, decode
from qstar_pl.types import Rollout


class Constant(Reward):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value
        self.built = False

    def build(self, tokenizer: object) -> None:  # type: ignore[override]
        self.built = True

    def score(self, rollout: Rollout, completions: Sequence[str]) -> Tensor:
        return torch.arange(len(rollout)) * self.value


def test_terms_are_weighted_added_and_built() -> None:
    terms = [Constant(2.0), Constant(10.0)]
    reward = WeightedSum(list(terms), [3.0, -0.5])
    reward.build(None)  # type: ignore[arg-type]
    assert all(term.built for term in terms)
    model = TableModel(torch.zeros(5, 5))
    rollout = decode(prompt_batch([[3]]), model, model, Alone("policy"), samples=3, seed=0, max_new_tokens=1)
    torch.testing.assert_close(reward.score(rollout, [""] * 3), torch.tensor([0.0, 1.0, 2.0]))


@pytest.mark.parametrize("weights", [[], [1.0, 2.0]])
def test_every_term_has_a_weight(weights: list[float]) -> None:
    with pytest.raises(UserError, match="one factor for each of rewards"):
        WeightedSum([Constant(1.0)], weights)

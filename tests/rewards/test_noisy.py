from dataclasses import replace

import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch

from qstar_pl.errors import UserError
from qstar_pl.rewards import FinalAnswerReward, GoldReward, NoisyReward, RewardModelReward
from qstar_pl.rollout import Alone, decode
from qstar_pl.types import Rollout


class Length(GoldReward):
    def score(self, rollout, completions):  # type: ignore[no-untyped-def]
        return torch.tensor([float(len(text)) for text in completions])


def drawn(prompts: list[list[int]], samples: int) -> Rollout:
    model = TableModel(torch.zeros(5, 5))
    batch = prompt_batch(prompts)
    return decode(
        replace(batch, keys=torch.arange(len(batch))),
        model,
        model,
        Alone("policy"),
        samples=samples,
        seed=0,
        max_new_tokens=1,
    )


def test_the_error_belongs_to_prompt_and_answer() -> None:
    rollout, texts = drawn([[3], [2]], 2), ["a", "b", "a", "a"]
    noisy = NoisyReward(Length(), sd=0.5)
    first = noisy.score(rollout, texts)
    assert torch.equal(first, NoisyReward(Length(), sd=0.5).score(rollout, texts))  # in another object, as in a rerun
    assert first[2] == first[3]  # one answer, drawn twice
    assert len(set(first.tolist())) == 3  # another answer, or another prompt, has another error
    assert not torch.equal(first, NoisyReward(Length(), sd=0.5, seed=1).score(rollout, texts))
    torch.testing.assert_close(
        first, 1 + 0.5 * torch.tensor([noisy.error(0, "a"), noisy.error(0, "b")] + [noisy.error(1, "a")] * 2)
    )
    assert torch.equal(NoisyReward(Length(), sd=0).score(rollout, texts), torch.ones(4))


def test_errors_are_standard_normal_and_independent() -> None:
    errors = torch.tensor([[NoisyReward(Length(), 1.0).error(key, str(n)) for n in range(100)] for key in range(100)])
    assert abs(float(errors.mean())) < 0.04  # 4 standard errors
    assert float(errors.std()) == pytest.approx(1, abs=0.03)
    assert float((errors.abs() > 1.96).double().mean()) == pytest.approx(0.05, abs=0.01)
    for shared in (errors[:, 1:] * errors[:, :-1], errors[1:] * errors[:-1]):  # neighboring answers, and prompts
        assert abs(float(shared.mean())) < 0.04


def test_what_is_inside_says_what_it_knows() -> None:
    assert NoisyReward(RewardModelReward(), 1.0).left_to_default() == "reward.model"
    assert NoisyReward(GoldReward(heuristic=True), 1.0).left_to_default() is None
    assert NoisyReward(FinalAnswerReward(), 1.0).some_unknown


@pytest.mark.parametrize("sd", [-1.0, float("nan"), float("inf")])
def test_nonsense_is_refused(sd: float) -> None:
    with pytest.raises(UserError, match="sd must be"):
        NoisyReward(GoldReward(), sd)

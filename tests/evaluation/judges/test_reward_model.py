import math

import pytest
import torch
from reference.tiny_rows import tiny_examples

from qstar_pl.data.batches.collate import DemonstrationCollate
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges import Comparison, RewardModelJudge
from qstar_pl.evaluation.text_rewards import rollout_of
from qstar_pl.models import Pretrained
from qstar_pl.rewards import GoldReward, RewardModelReward, TokenReward, WeightedSum

EXAMPLES = tiny_examples(24)
PAIRS = [Comparison(example, example.chosen, example.rejected) for example in EXAMPLES]


def reward_model() -> RewardModelReward:
    return RewardModelReward(Pretrained("tiny/reward"))


@pytest.fixture(scope="module")
def judge() -> RewardModelJudge:
    made = RewardModelJudge(reward_model(), rows_per_batch=7)
    made.build(None)
    return made


def test_it_agrees_with_the_data_where_the_reward_model_does(judge) -> None:
    preferences = [verdict.preference for verdict in judge.compare(PAIRS)]
    assert sum(preferences) >= 20


def test_the_scores_are_those_of_the_data_s_own_tokens(judge) -> None:
    tokenizer = Pretrained("tiny/reward").tokenizer()
    encoder = Encoder(tokenizer, 128, 64)
    batch = DemonstrationCollate(tokenizer.pad_token_id)([encoder.encode(example) for example in EXAMPLES])
    expected = judge.reward.score(rollout_of(batch), [example.chosen for example in EXAMPLES])
    found = [verdict.extra["scores"]["answer"] for verdict in judge.compare(PAIRS)]
    assert found == pytest.approx(expected.tolist(), abs=1e-5)


def test_margins_and_soft_preferences(judge) -> None:
    scores = [verdict.extra["scores"] for verdict in judge.compare(PAIRS)]
    apart = [one["answer"] - one["baseline"] for one in scores]
    wide = RewardModelJudge(judge.reward, margin=sorted(map(abs, apart))[12])
    wide.build(None)
    assert sum(verdict.tie for verdict in wide.compare(PAIRS)) == 13
    soft = RewardModelJudge(judge.reward, soft=True)
    soft.build(None)
    expected = torch.tensor(apart, dtype=torch.float64).sigmoid().tolist()
    assert [verdict.preference for verdict in soft.compare(PAIRS)] == pytest.approx(expected, rel=1e-6)
    assert soft.verdict(-1e9, 1e9).preference == 0
    assert soft.verdict(math.inf, math.inf).tie


def test_a_policy_s_tokenizer_changes_nothing(judge, byte_tokenizer) -> None:
    other = RewardModelJudge(reward_model())
    other.build(byte_tokenizer)
    assert other.compare(PAIRS[:3]) == RewardModelJudge.compare(judge, PAIRS[:3])


@pytest.fixture
def byte_tokenizer():
    from transformers import ByT5Tokenizer

    return ByT5Tokenizer()


def test_what_is_too_long_is_cut_and_still_compared(judge) -> None:
    long = Comparison(EXAMPLES[0], "the box " * 2000, "short")
    (verdict,) = judge.compare([long])
    assert verdict.preference in (0, 0.5, 1)


def test_any_reward_will_do() -> None:
    both = WeightedSum([reward_model(), GoldReward()], [1.0, 10.0])
    token = TokenReward(Pretrained("tiny/expert"))
    for reward in (both, token):
        judge = RewardModelJudge(reward)
        judge.build(None)
        assert sum(verdict.preference for verdict in judge.compare(PAIRS)) >= 16


def test_a_reward_without_a_model_needs_somebody_s_tokenizer() -> None:
    with pytest.raises(UserError, match=r"judge\.tokenizer must be given for GoldReward"):
        RewardModelJudge(GoldReward()).build(None)
    named = RewardModelJudge(GoldReward(), tokenizer="tiny")
    named.build(None)
    assert named.compare(PAIRS[:1])[0].preference == 1


def test_the_weights_are_part_of_the_name() -> None:
    one, other = RewardModelJudge(reward_model()), RewardModelJudge(reward_model())
    before = one.fingerprint
    one.build(None)
    other.build(None)
    assert one.fingerprint == other.fingerprint != before
    assert "scorer" not in one.description
    with torch.no_grad():
        next(other.reward.parameters()).add_(1)
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": -1.0}, "margin must be at least 0"),
        ({"margin": 0.1, "soft": True}, "margin must be 0 where verdicts are soft, got 0.1"),
        ({"rows_per_batch": 0}, "rows_per_batch must be at least 1"),
    ],
    ids=["negative margin", "soft margin", "no rows"],
)
def test_options_are_checked(options, message) -> None:
    with pytest.raises(UserError, match=message):
        RewardModelJudge(GoldReward(), **options)

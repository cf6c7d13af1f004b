"""Sums over rows, whatever the batches; nothing where nothing was measured."""

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from reference.toy_training import make_rows, report_of
from torch import Tensor, nn
from torchmetrics import MeanMetric

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import (
    POLICY_METRICS,
    Answers,
    Beta,
    ComparisonMetric,
    Comparisons,
    CompletionLength,
    Demonstrations,
    Drawing,
    KLPolicyReference,
    Measurements,
    Metric,
    Perplexity,
    PreferenceAccuracy,
    RewardGold,
    RewardProxy,
    Scores,
    numbers,
    row_scores,
)
from qstar_pl.samplers import PolicySampler

ROLLOUT = report_of(make_rows(6, 5, samples=2), torch.zeros(())).weighted.scored.rollout
NO_PARTS: Any = SimpleNamespace(prompts=SimpleNamespace(examples=()))


def answers(**rewards: Tensor) -> Answers:
    return Answers(ROLLOUT, ["text"] * 6, rewards=lambda: rewards, divergences=lambda: ROLLOUT.kl_behavior_target)


def pairs(margins: list[float], **quantities: Tensor) -> Comparisons:
    return Comparisons(NO_PARTS, torch.tensor(margins), quantities)


def tokens(nats: list[float]) -> Demonstrations:
    mask = torch.ones(1, len(nats), dtype=torch.bool)
    batch: Any = SimpleNamespace(prompts=NO_PARTS.prompts, completion_mask=mask)
    return Demonstrations(batch, -torch.tensor([nats]))


def measured(*evidence: tuple[Metric, Any]) -> dict[str, float]:
    measurements = Measurements(list(dict.fromkeys(metric for metric, _ in evidence)))
    for metric, one in evidence:
        measurements.measure(metric, one)
    return {key: float(value) for key, value in measurements.flush("val").items()}


def test_means_are_over_rows_whatever_the_batches():
    gold = RewardGold()
    batches = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0])
    assert measured(*((gold, answers(gold=batch)) for batch in batches)) == {"val/reward_gold": 4.0}


def test_ties_count_one_half_and_perplexity_is_of_all_tokens():
    values = measured(
        (PreferenceAccuracy(), pairs([1.0, -2.0, 0.0])), (p := Perplexity(), tokens([1.0])), (p, tokens([2.0, 3.0]))
    )
    assert values == {"val/preference_accuracy": 0.5, "val/perplexity": pytest.approx(math.exp(2.0))}


def test_rows_of_demonstrations_are_nats_and_tokens_and_of_pairs_wins():
    nats = row_scores(Perplexity(), tokens([2.0, 3.0, 1.0]))["perplexity"]
    assert (nats.values.tolist(), nats.per) == ([[6.0, 3.0]], "prompt")
    assert float(numbers(Perplexity(), {"perplexity": nats})["perplexity"]) == pytest.approx(math.exp(2.0))
    wins = row_scores(PreferenceAccuracy(), pairs([1.0, -2.0, 0.0]))["preference_accuracy"]
    assert (wins.values.tolist(), wins.mask.all().item()) == ([1.0, 0.0, 0.5], True)


def test_beta_is_of_those_that_learn_one():
    assert measured((Beta(), pairs([1.0]))) == {}
    assert measured((Beta(), pairs([1.0, 2.0], beta=torch.tensor([0.5, 1.0])))) == {"val/beta": 0.75}


def test_what_saw_no_data_is_absent_and_flushing_starts_anew():
    proxy = RewardProxy()
    measurements = Measurements([proxy, RewardGold()])
    measurements.measure(proxy, answers(proxy=torch.ones(6)))
    assert set(measurements.flush("val")) == {"val/reward_proxy"}
    assert measurements.flush("val") == {}


def test_values_are_those_of_torchmetrics_to_the_last_bit():
    torch.manual_seed(0)
    measurements, reference = Measurements([proxy := RewardProxy()]), MeanMetric().set_dtype(torch.float64)
    for rows in (7, 64, 3):
        values = torch.randn(rows) * 1e3
        reference.update(values.double())
        measurements.measure(proxy, answers(proxy=values))
    assert torch.equal(measurements.flush("val")["val/reward_proxy"], reference.compute())


def test_what_is_read_of_answers():
    mask = ROLLOUT.completion_mask
    assert measured((CompletionLength(), answers())) == {"val/completion_length": pytest.approx(float(mask.sum() / 6))}
    wanted = float(ROLLOUT.kl_behavior_target.sum() / 6)
    assert measured((KLPolicyReference(), answers())) == {"val/kl_policy_reference": pytest.approx(wanted)}
    assert (answers().samples, len(answers())) == (2, 6)
    assert [example.key for example in answers().examples] == [0, 0, 1, 1, 2, 2]
    assert answers().references == [()] * 6


def test_what_a_metric_does_not_ask_for_is_not_computed_and_the_rest_once():
    asked: list[str] = []

    def compute(name: str, value: Any) -> Any:
        asked.append(name)
        return value

    lazy = Answers(
        ROLLOUT,
        [],
        rewards=lambda: compute("rewards", {"proxy": torch.ones(6), "gold": torch.ones(6)}),
        divergences=lambda: compute("divergences", ROLLOUT.alpha),
    )
    CompletionLength().scores(lazy)
    assert asked == []
    measured((RewardProxy(), lazy), (RewardGold(), lazy))
    assert asked == ["rewards"]


def test_a_reward_that_is_no_number_is_left_out_with_a_warning():
    with pytest.warns(UserWarning, match="reward_gold: values that are not a number are left out of the mean, here 1"):
        assert measured((RewardGold(), answers(gold=torch.tensor([1.0, torch.nan, 3.0])))) == {"val/reward_gold": 2.0}


def test_two_metrics_under_one_key_are_refused():
    @dataclass(frozen=True)
    class Mine(PreferenceAccuracy):
        half: bool = True

    with pytest.raises(UserError, match="metrics must report under keys of their own, got preference_accuracy of"):
        measured((PreferenceAccuracy(), pairs([1.0])), (Mine(), pairs([1.0])))


def test_a_metric_that_is_named_twice_is_measured_once():
    measured = Measurements([Perplexity(), CompletionLength(), Perplexity()])
    assert [type(one) for one in measured.of_all] == [Perplexity, CompletionLength]


def test_scores_of_another_number_of_rows_are_refused():
    wrong = answers(gold=torch.ones(4))
    with pytest.raises(ValueError, match="reward_gold must have a score for each answer, got 4 for 6"):
        row_scores(RewardGold(), wrong)
    with pytest.raises(ValueError, match=r"mask \[rows\], got values \[2, 3, 1\] and mask \[2\]"):
        Scores(torch.ones(2, 3, 1), torch.ones(2, dtype=torch.bool))


def test_a_metric_may_be_expensive_and_bring_a_model():
    class Judged(ComparisonMetric, nn.Module):
        expensive = True

        def build(self, tokenizer: Any) -> None:
            self.judge = nn.Dropout(0.5)
            self.judge.weight = nn.Parameter(torch.ones(1))

        def models(self) -> list[nn.Module]:
            return [self.judge]

        def scores(self, comparisons: Comparisons) -> dict[str, Scores]:
            return {"judged": Scores.all(self.judge.weight)}

    measurements = Measurements([judged := Judged(), PreferenceAccuracy()])
    measurements.build(None)  # type: ignore[arg-type]
    measurements.to("meta").train()
    assert [parameter.device.type for parameter in measurements.parameters()] == ["meta"]
    assert not any(parameter.requires_grad for parameter in measurements.parameters())
    assert not judged.judge.training
    assert [type(one) for one in measurements.due(fitting=True)] == [PreferenceAccuracy]
    assert [type(one) for one in measurements.due(fitting=False)] == [Judged, PreferenceAccuracy]


def test_a_drawing_changes_nothing_but_what_it_says():
    sampler = PolicySampler(max_new_tokens=5, temperature=0.7)
    assert Drawing(samples=3).sampler(sampler) is sampler
    assert Drawing(greedy=True).sampler(sampler) == PolicySampler(max_new_tokens=5, temperature=0.7, top_k=1)
    assert sampler.top_k is None


def test_the_defaults_are_seven():
    assert [type(one).__name__ for one in POLICY_METRICS] == [
        "RewardProxy",
        "RewardGold",
        "KLPolicyReference",
        "CompletionLength",
        "EndedFraction",
        "PreferenceAccuracy",
        "Perplexity",
    ]

"""Rank correlations of proxy and gold: closed forms, scipy's own numbers, and the same whatever the batches."""

import pytest
import torch
from reference.text_answers import answers, measured
from scipy.stats import kendalltau, spearmanr

from qstar_pl.evaluation.metrics import Answers, Facts, ProxyCalibration
from qstar_pl.evaluation.metrics.calibration import rank_correlations


def scored(proxy: list[float], gold: list[float], samples: int = 1) -> Answers:
    texts = [(f"p{start}", ["a"] * samples) for start in range(0, len(proxy), samples)]
    return answers(texts, proxy=torch.tensor(proxy), gold=torch.tensor(gold))


def test_three_pairs_by_hand() -> None:
    # Ranks 1 2 3 against 1 3 2: ρ = 1 − 6·2/(3·8), and one of three pairs the wrong way round.
    found = measured(ProxyCalibration(), scored([0.1, 0.2, 9.0], [1.0, 7.0, 3.0]))
    assert found == {"calibration_spearman": pytest.approx(0.5), "calibration_kendall": pytest.approx(1 / 3)}


def test_ties_are_scipy_s_and_batches_make_no_difference() -> None:
    torch.manual_seed(0)
    proxy = torch.randn(200)
    gold = (proxy + torch.randn(200)).round()
    wanted = spearmanr(proxy, gold).statistic, kendalltau(proxy, gold).statistic
    assert rank_correlations(proxy.double(), gold.double()) == pytest.approx(wanted)
    halves = [scored(proxy[rows].tolist(), gold[rows].tolist()) for rows in (slice(0, 30), slice(30, 200))]
    found = measured(ProxyCalibration(), *halves)
    assert (found["calibration_spearman"], found["calibration_kendall"]) == pytest.approx(wanted)


def test_within_prompts_it_is_the_order_of_a_prompt_s_answers_alone() -> None:
    # Prompts differ in both rewards alike, but within a prompt the proxy is upside down; the third has no order.
    proxy, gold = [1.0, 2.0, 11.0, 12.0, 20.0, 21.0], [2.0, 1.0, 12.0, 11.0, 30.0, 30.0]
    found = measured(ProxyCalibration(samples=2), scored(proxy, gold, samples=2))
    assert found["calibration_spearman"] > 0.8
    assert found["calibration_spearman_within"] == pytest.approx(-1)
    assert found["calibration_kendall_within"] == pytest.approx(-1)


def test_without_an_order_there_is_no_number() -> None:
    assert measured(ProxyCalibration(), scored([1.0, 1.0], [1.0, 2.0])) == {}
    assert measured(ProxyCalibration(), scored([1.0], [1.0])) == {}
    with pytest.warns(UserWarning, match="calibration: values that are not a number are left out"):
        assert measured(ProxyCalibration(), scored([1.0, 2.0, torch.nan], [1.0, 2.0, 0.0])) == {
            "calibration_spearman": pytest.approx(1.0),
            "calibration_kendall": pytest.approx(1.0),
        }


def test_it_needs_both_rewards() -> None:
    assert ProxyCalibration().missing(Facts(rewards=frozenset({"proxy"}))) == "needs a gold reward (gold), got none"
    assert ProxyCalibration().missing(Facts(rewards=frozenset({"proxy", "gold"}))) is None

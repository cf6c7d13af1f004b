"""Two real processes over gloo: what is logged is a property of all answers, not of a rank's."""

import json
from typing import Any

import numpy as np
import pytest
from reference.diagnostics import rollout_metrics
from reference.gradients import Regression, brute_force, data, expected, flat_gradient
from reference.ranks import finish, start
from reference.toy_training import make_rows, take

Results = dict[str, list[dict[str, float]]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    output = tmp_path_factory.mktemp("two_ranks") / "results.json"
    finish([start("two_ranks.py", str(output), rank=rank) for rank in range(2)], limit_s=120)
    loaded: Results = json.loads(output.read_text())
    return loaded


def test_metrics_equal_the_definitions_on_all_answers_of_both_ranks(results: Results) -> None:
    (got,) = results["rollouts"]
    wanted = rollout_metrics(make_rows(24, 11, samples=3), applied_per_answer=True)
    assert set(got) - {"epoch"} == set(wanted)
    for key, value in wanted.items():
        assert got[key] == pytest.approx(value, rel=2e-5, abs=2e-6), key
    halves = [
        rollout_metrics(take(make_rows(24, 11, samples=3), range(r, 24, 2)), applied_per_answer=True) for r in (0, 1)
    ]
    assert np.mean([half["weights/ess_fraction"] for half in halves]) != pytest.approx(
        got["weights/ess_fraction"], rel=1e-3
    )


def test_a_rank_without_data_and_statistics_that_appear_late(results: Results) -> None:
    *steps, counts = results["one_rank_is_empty"]
    # Weights of the toy are 1, losses 1 … 5; rank 1 reports from the fourth micro-step on.
    assert [step["loss/total"] for step in steps] == pytest.approx([1, 2, 3, 4, 5])
    assert "weights/cv" not in steps[2]
    wanted = rollout_metrics(make_rows(24, 11, samples=3), applied_per_answer=True)
    assert steps[3]["weights/cv"] == pytest.approx(wanted["weights/cv"], rel=2e-5)
    assert steps[3]["loss/policy"] == pytest.approx(8)
    assert [step["samples/total"] for step in steps] == [2, 4, 6, 32, 58]
    # One gather per step, and one more in the only step that had new statistics.
    assert counts["gathers"] == 6


def test_an_unfinished_window_of_both_ranks_survives_a_checkpoint(results: Results) -> None:
    got, whole = results["unfinished_window"]
    # To the last digit: each rank goes on with its own sums, since in another order they round differently.
    clocks = ("time/", "tokens/per_s")
    assert {k: v for k, v in got.items() if not k.startswith(clocks)} == {
        k: v for k, v in whole.items() if not k.startswith(clocks)
    }
    wanted = rollout_metrics(make_rows(24, 11, samples=3), applied_per_answer=True)
    for key, value in wanted.items():
        assert got[key] == pytest.approx(value, rel=2e-5, abs=2e-6), key
    assert got["samples/total"] == 24


def test_sharded_gradients_equal_brute_force(results: Results) -> None:
    """FSDP2: the micro-step is the sampling unit, its gradient averaged over the ranks."""
    steps = brute_force(data(8, batch=6), 4)
    for got, gradients in zip(results["fsdp2"], steps, strict=True):
        for key, value in expected([gradients], 4, batch=6).items():
            assert got[key] == pytest.approx(value, rel=1e-9), key


def test_ddp_gradients_equal_brute_force(results: Results) -> None:
    """DDP: the units are the ranks' own micro-batches, of which the last of each is never seen apart."""
    steps = brute_force(data(8, batch=6), 4)
    own: list[list[Any]] = [[(x[3 * r : 3 * r + 3], y[3 * r : 3 * r + 3]) for x, y in data(8, batch=6)] for r in (0, 1)]
    for index, got in enumerate(results["ddp"]):
        wanted = expected([steps[index]], 4, batch=6)
        assert got["grad/norm"] == pytest.approx(wanted["grad/norm"], rel=1e-9)
        if index == 0:  # the parameters are still those of brute_force's module
            module = Regression()
            squares = [(flat_gradient(module, own[r][m]) ** 2).sum() for r in (0, 1) for m in range(3)]
            variance = (np.mean(squares) - wanted["grad/norm"] ** 2) * 8 / 7 / 2
            assert got["grad/variance"] == pytest.approx(variance, rel=1e-9)
            signal = wanted["grad/norm"] ** 2 - variance / 4
            assert got["grad/snr"] == pytest.approx(signal / variance, rel=1e-9)
            # The same quantity as the sharded run measures, up to the noise of either estimate.
            assert got["grad/variance"] == pytest.approx(wanted["grad/variance"], rel=0.7)

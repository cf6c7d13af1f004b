"""Every metric equals its definition on all answers at once, however they were split."""

import numpy as np
import pytest
import torch
from reference.diagnostics import rollout_metrics, weight_set
from reference.toy_training import Rows, make_rows, report_of, take, train
from torch import Tensor

from qstar_pl.callbacks import (
    AlphaDiagnostic,
    Diagnostic,
    ESSDiagnostic,
    KLDiagnostic,
    LengthsDiagnostic,
    ParetoDiagnostic,
    RewardDiagnostic,
    WeightsDiagnostic,
)
from qstar_pl.types import RolloutReport, StepReport

ROWS = make_rows(24, 11, samples=3)


def diagnostics() -> list[Diagnostic]:
    return [
        AlphaDiagnostic(),
        ESSDiagnostic(),
        KLDiagnostic(),
        LengthsDiagnostic(),
        RewardDiagnostic(),
        WeightsDiagnostic(),
        ParetoDiagnostic(),
    ]


def run(rows: Rows, parts: int, *, pads: int = 0, accumulate: int = 1, every: int = 1) -> list[dict[str, float]]:
    # Whole prompts to each micro-step, as in training.
    of_prompts = np.array_split(np.unique(rows["prompt"]), parts)
    chunks = [np.flatnonzero(np.isin(rows["prompt"], prompts)) for prompts in of_prompts]

    def reports(number: int, loss: Tensor) -> RolloutReport:
        return report_of(take(rows, chunks[number].tolist(), pads), loss)

    _, logger = train(reports, parts, diagnostics(), every=every, accumulate_grad_batches=accumulate)
    return [metrics for _, metrics in logger.calls]


def assert_same(got: dict[str, float], wanted: dict[str, float]) -> None:
    assert set(got) - {"epoch"} == set(wanted)
    for key, value in wanted.items():
        assert got[key] == pytest.approx(value, rel=2e-5, abs=2e-6), key


def test_one_batch_equals_the_definitions() -> None:
    (got,) = run(ROWS, 1)
    assert_same(got, rollout_metrics(ROWS, applied_per_answer=True))


@pytest.mark.parametrize("parts", [5, 8])
def test_accumulated_micro_steps_equal_one_batch(parts: int) -> None:
    (got,) = run(ROWS, parts, accumulate=parts)
    assert_same(got, rollout_metrics(ROWS, applied_per_answer=True))


def test_a_window_of_several_optimizer_steps_equals_one_batch() -> None:
    (got,) = run(ROWS, 6, accumulate=2, every=3)
    assert_same(got, rollout_metrics(ROWS, applied_per_answer=True))


def test_windows_do_not_mix() -> None:
    first, second = run(ROWS, 4, every=2)
    assert_same(first, rollout_metrics(take(ROWS, range(12)), applied_per_answer=True))
    assert_same(second, rollout_metrics(take(ROWS, range(12, 24)), applied_per_answer=True))


def test_fifty_more_pads_change_nothing() -> None:
    (plain,), (padded,) = run(ROWS, 3, accumulate=3), run(ROWS, 3, pads=50, accumulate=3)
    assert padded == pytest.approx(plain, rel=1e-12)


def test_averaging_the_ess_of_micro_batches_would_over_report() -> None:
    """The numbers of the documentation: 512 answers of 200 tokens, log-ratios of s.d. 0.1 per token."""
    rows = make_rows(512, 200, seed=1, spread=0.1)
    rows["mask"] = np.ones((512, 200), bool)
    rows["log_weights"] = np.random.default_rng(0).normal(0, 0.1, (512, 200))
    (got,) = run(rows, 64, accumulate=64)
    wanted = weight_set(np.exp(rows["log_weights"].sum(1)), "weights")
    assert got["weights/ess_fraction"] == pytest.approx(wanted["weights/ess_fraction"], rel=1e-4)
    parts = [weight_set(np.exp(part.sum(1)), "w")["w/ess_fraction"] for part in np.split(rows["log_weights"], 64)]
    assert np.mean(parts) > 1.8 * got["weights/ess_fraction"]
    assert got["weights_token/ess_fraction"] > 0.98


def test_weights_that_vary_along_an_answer_are_summarized_per_token() -> None:
    rows = {**ROWS, "weights": np.random.default_rng(2).uniform(0.1, 2, ROWS["mask"].shape)}
    (got,) = run(rows, 4, accumulate=4)
    assert_same(got, rollout_metrics(rows, applied_per_answer=False))


def test_weights_beyond_the_range_of_a_float_keep_their_ess() -> None:
    rows = take(ROWS, range(3))
    rows["mask"] = np.ones((3, 1), bool)
    rows = {key: value[:, :1] if value.ndim == 2 else value for key, value in rows.items()}
    rows["log_weights"] = np.array([[800.0], [800.0], [-800.0]])
    (got,) = run(rows, 3, accumulate=3)
    assert got["weights/ess_fraction"] == pytest.approx(2 / 3)
    assert got["weights/mean"] == np.inf
    assert got["weights/min"] == 0


def test_an_answer_that_the_policy_cannot_give_has_weight_zero() -> None:
    rows = {key: value.copy() for key, value in take(ROWS, range(6)).items()}
    rows["log_weights"][2, 0] = -np.inf
    (got,) = run(rows, 2, accumulate=2)
    kept = take(rows, [0, 1, 3, 4, 5])
    wanted = rollout_metrics(kept, applied_per_answer=True)
    assert got["weights/min"] == 0
    assert got["weights/ess_fraction"] == pytest.approx(wanted["weights/ess_fraction"] * 5 / 6, rel=1e-5)
    assert got["kl/policy_reference"] == pytest.approx(wanted["kl/policy_reference"], rel=1e-5)


def test_rows_without_tokens_are_not_answers() -> None:
    rows = {key: value.copy() for key, value in ROWS.items()}
    rows["mask"][5:9] = False
    (got,) = run(rows, 4, accumulate=4)
    wanted = rollout_metrics(take(rows, [*range(5), *range(9, 24)]), applied_per_answer=True)
    assert_same(got, wanted)


def test_an_empty_micro_batch_adds_nothing() -> None:
    def reports(number: int, loss: Tensor) -> RolloutReport:
        return report_of(take(ROWS, range(24) if number == 0 else []), loss)

    _, logger = train(reports, 2, diagnostics(), accumulate_grad_batches=2)
    assert_same(logger.calls[0][1], rollout_metrics(ROWS, applied_per_answer=True))


def test_methods_that_do_not_sample_log_none_of_it() -> None:
    def reports(number: int, loss: Tensor) -> StepReport:
        return StepReport(loss.detach(), {}, 4, 20)

    _, logger = train(reports, 2, diagnostics())
    assert logger.calls == []


def test_a_window_without_data_logs_no_metric() -> None:
    def reports(number: int, loss: Tensor) -> StepReport:
        return report_of(ROWS, loss) if number == 0 else StepReport(loss.detach(), {}, 4, 20)

    _, logger = train(reports, 2, diagnostics())
    assert [step for step, _ in logger.calls] == [1]


def test_kl_estimate_is_that_of_the_policy_though_samples_come_elsewhere() -> None:
    """Single-token answers over 4 tokens: the estimate converges to the exact divergence; the plain mean does not."""
    generator = torch.Generator().manual_seed(0)
    policy, reference, behavior = (torch.randn(4, generator=generator).log_softmax(0) for _ in range(3))
    count = 20000
    drawn = torch.multinomial(behavior.exp(), count, replacement=True, generator=generator)
    rows = {key: value[:, :1] if value.ndim == 2 else value for key, value in make_rows(count, 2).items()}
    rows["mask"] = np.ones((count, 1), bool)
    for name, law in {"policy": policy, "reference": reference, "behavior": behavior}.items():
        rows[name] = law[drawn].numpy()[:, None]
    rows["log_weights"] = rows["policy"] - rows["behavior"]
    (got,) = run(rows, 4, accumulate=4)
    exact = float((policy.exp() * (policy - reference)).sum())
    assert got["kl/policy_reference"] == pytest.approx(exact, rel=0.05)
    assert got["kl/policy_reference_token"] == pytest.approx(exact, rel=0.05)
    assert abs(float((policy - reference)[drawn].mean()) - exact) > 0.3 * exact

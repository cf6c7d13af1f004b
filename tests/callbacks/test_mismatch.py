from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from reference.toy_training import make_rows, report_of, take, train

from qstar_pl.callbacks import Guards, MismatchDiagnostic
from qstar_pl.errors import UserError
from qstar_pl.types import RolloutReport

ROWS = make_rows(12, 6)
NOISE = 0.4 * np.random.default_rng(1).standard_normal(ROWS["mask"].shape)


def drawn_elsewhere(rows: dict[str, Any], noise: np.ndarray, report: RolloutReport, stale: int | None) -> RolloutReport:
    scored = report.weighted.scored
    recomputed = torch.from_numpy(rows["behavior"] + noise).float()
    info = replace(scored.rollout.info, staleness_steps=stale)
    rollout = replace(scored.rollout, recomputed_logprobs=recomputed, info=info)
    return replace(report, weighted=replace(report.weighted, scored=replace(scored, rollout=rollout)))


def run(parts: list[list[int]], pads: int = 0) -> dict[str, float]:
    def report(number: int, loss: torch.Tensor) -> RolloutReport:
        rows, noise = take(ROWS, parts[number], pads), np.pad(NOISE[parts[number]], ((0, 0), (0, pads)))
        return drawn_elsewhere(rows, noise, report_of(rows, loss), stale=number)

    _, logger = train(report, len(parts), [MismatchDiagnostic(low=0.8, high=1.3)], accumulate_grad_batches=len(parts))
    ((_, metrics),) = logger.calls
    return {key: value for key, value in metrics.items() if key.startswith(("mismatch/", "rollout/"))}


def test_metrics_equal_their_definitions() -> None:
    d, mask = NOISE, ROWS["mask"]
    rho, sums = np.exp(d[mask]), np.abs(np.where(mask, d, 0).sum(-1))
    flat = d[mask]
    expected = {
        "mismatch/logprob_mean": np.abs(flat).mean(),
        "mismatch/logprob_max": np.abs(flat).max(),
        "mismatch/kl_trainer_engine_k1": (rho * flat).mean(),
        "mismatch/kl_trainer_engine_k3": (rho * flat - rho + 1).mean(),
        "mismatch/kl_engine_trainer_k1": (-flat).mean(),
        "mismatch/kl_engine_trainer_k3": (rho - 1 - flat).mean(),
        "mismatch/outside_fraction": ((rho < 0.8) | (rho > 1.3)).mean(),
        "mismatch/sequence_mean": sums.mean(),
        "mismatch/sequence_max": sums.max(),
        "rollout/staleness_steps": 0.0,
    }
    assert run([list(range(12))]) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_parts_of_unequal_size_and_pads_change_nothing() -> None:
    whole, parts = run([list(range(12))]), run([[0, 1, 2], list(range(3, 12))], pads=3)
    assert parts.pop("rollout/staleness_steps") == pytest.approx(9 / 12)  # 3 answers of age 0, 9 of age 1
    whole.pop("rollout/staleness_steps")
    assert parts == pytest.approx(whole, rel=1e-6)


def test_a_token_that_the_trainer_cannot_produce_shows() -> None:
    noise = NOISE.copy()
    noise[0, 0] = -np.inf
    _, logger = train(
        lambda _, loss: drawn_elsewhere(ROWS, noise, report_of(ROWS, loss), None), 1, [MismatchDiagnostic()]
    )
    ((_, metrics),) = logger.calls
    assert metrics["mismatch/logprob_max"] == metrics["mismatch/logprob_mean"] == np.inf
    assert np.isfinite(metrics["mismatch/kl_trainer_engine_k3"])
    assert "rollout/staleness_steps" not in metrics


def test_what_the_trainers_own_models_drew_has_none() -> None:
    _, logger = train(lambda _, loss: report_of(ROWS, loss), 1, [MismatchDiagnostic()])
    assert not [key for _, metrics in logger.calls for key in metrics if key.startswith(("mismatch/", "rollout/"))]


def test_guards_stop_at_a_mismatch() -> None:
    def report(number: int, loss: torch.Tensor) -> RolloutReport:
        return drawn_elsewhere(ROWS, NOISE * (number == 2), report_of(ROWS, loss), None)

    guards = Guards(metrics={"mismatch/logprob_mean": (-1, 0.05)}, action="stop")
    trainer, _ = train(report, 6, [guards, MismatchDiagnostic()])
    assert trainer.global_step == 3


def test_bounds_that_are_none() -> None:
    with pytest.raises(UserError, match=r"^low and high must satisfy 0 <= low < high"):
        MismatchDiagnostic(low=2.0, high=1.0)

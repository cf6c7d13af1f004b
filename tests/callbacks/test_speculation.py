from dataclasses import replace

import pytest
from reference.toy_training import make_rows, report_of, take, train

from qstar_pl.callbacks import SpeculationDiagnostic
from qstar_pl.types import Drafting, RolloutReport

ONE = Drafting(
    tested=(4, 3), accepted=(3, 1), emitted=8, calls={"policy": 4, "target": 2},
    seconds={"draft": 1.0, "verify": 2.0, "total": 4.0}, predicted=2.0, measured=1.5,
)  # fmt: skip
OTHER = Drafting(
    tested=(6,), accepted=(6,), emitted=12, calls={"policy": 2, "target": 2, "drafter": 4},
    seconds={"draft": 3.0, "verify": 1.0, "total": 12.0}, predicted=1.0, measured=None,
)  # fmt: skip


def speculative(report: RolloutReport, drafting: Drafting | None, drafted: int) -> RolloutReport:
    scored = report.weighted.scored
    info = replace(scored.rollout.info, drafting=drafting, drafted=drafted)
    rollout = replace(scored.rollout, info=info)
    return replace(report, weighted=replace(report.weighted, scored=replace(scored, rollout=rollout)))


def test_ratios_are_formed_from_sums_over_rollouts() -> None:
    rows, made = make_rows(4, 5), [(ONE, 8), (OTHER, 12)]
    _, logger = train(
        lambda n, loss: speculative(report_of(take(rows, range(4)), loss), *made[n]),
        2,
        [SpeculationDiagnostic()],
        accumulate_grad_batches=2,
    )
    ((_, metrics),) = logger.calls
    expected = {
        "acceptance": 10 / 13,
        "acceptance_1": 9 / 10,
        "acceptance_2": 1 / 3,
        "kept_fraction": 10 / 20,
        "tokens_per_call_policy": (8 / 4 + 12 / 4) / 6,
        "tokens_per_call_target": (8 / 4 + 12 / 4) / 4,
        "tokens_per_call_drafter": (8 / 4 + 12 / 4) / 4,
        "draft_fraction": 4 / 16,
        "verify_fraction": 3 / 16,
        "predicted_speedup": (2.0 * 4 + 1.0 * 12) / 16,
        "measured_speedup": 1.5,
    }
    assert {key: metrics[f"speculation/{key}"] for key in expected} == pytest.approx(expected)


def test_without_drafts_there_is_nothing() -> None:
    rows = make_rows(4, 5)
    _, logger = train(lambda _, loss: report_of(take(rows, range(4)), loss), 1, [SpeculationDiagnostic()])
    assert not [key for _, metrics in logger.calls for key in metrics if key.startswith("speculation/")]

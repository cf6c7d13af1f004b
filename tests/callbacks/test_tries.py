from dataclasses import replace

import pytest
import torch
from reference.toy_training import make_rows, report_of, take, train

from qstar_pl.callbacks import TriesDiagnostic
from qstar_pl.types import RolloutReport


def of_tries(report: RolloutReport, tries: list[int], survivors: list[int], generated: int) -> RolloutReport:
    scored = report.weighted.scored
    facts = {"tries": torch.tensor(tries), "survivors": torch.tensor(survivors)}
    rollout = replace(scored.rollout, info=replace(scored.rollout.info, facts=facts))
    weighted = replace(report.weighted, scored=replace(scored, rollout=rollout))
    return replace(report, weighted=weighted, generated=generated)


def test_ratios_are_formed_from_sums_over_rollouts() -> None:
    rows = make_rows(4, 5)
    made = [([8, 8, 4, 4], [2, 2, 2, 2], 70), ([16, 16, 3, 3], [0, 0, 2, 2], 130)]
    _, logger = train(
        lambda n, loss: of_tries(report_of(take(rows, range(4)), loss), *made[n]),
        2,
        [TriesDiagnostic()],
        accumulate_grad_batches=2,
    )
    ((_, metrics),) = logger.calls
    expected = {"survived_fraction": 12 / 62, "tokens_per_answer": 200 / 8, "sequential_fraction": 2 / 8}
    assert {key: metrics[f"tries/{key}"] for key in expected} == pytest.approx(expected)


def test_other_samplers_have_none() -> None:
    rows = make_rows(4, 5)
    _, logger = train(lambda _, loss: report_of(take(rows, range(4)), loss), 1, [TriesDiagnostic()])
    assert not [key for _, metrics in logger.calls for key in metrics if key.startswith("tries/")]

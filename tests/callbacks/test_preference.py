"""Rewards of pairs, over all pairs of a window."""

import pytest
import torch
from reference.toy_training import train
from torch import Tensor

from qstar_pl.callbacks import PreferenceDiagnostic
from qstar_pl.qstar.preferences import reward_quantities
from qstar_pl.types import StepReport

CHOSEN = torch.tensor([0.1, 0.4, -0.2, 0.9, 0.3, 0.5])
REJECTED = torch.tensor([0.3, 0.1, -0.2, 0.0, -0.3, 0.2])


@pytest.mark.parametrize("sizes", [[6], [1, 3, 2], [1, 1, 1, 1, 1, 1]])
def test_however_the_pairs_are_split(sizes: list[int]) -> None:
    chosen, rejected = CHOSEN.split(sizes), REJECTED.split(sizes)

    def report(number: int, loss: Tensor) -> StepReport:
        return StepReport(loss.detach(), {}, 1, 1, pairs=reward_quantities(chosen[number], rejected[number]))

    _, logger = train(report, len(sizes), [PreferenceDiagnostic()], accumulate_grad_batches=len(sizes))
    ((_, got),) = logger.calls
    assert got["rewards/chosen"] == pytest.approx(2.0 / 6)
    assert got["rewards/rejected"] == pytest.approx(0.1 / 6)
    assert got["rewards/margins"] == pytest.approx(1.9 / 6)
    assert got["rewards/accuracies"] == pytest.approx(4.5 / 6)  # one of six is lost, one is a tie
    assert not [key for key in got if key.startswith("logps")]


def test_methods_without_pairs_are_left_alone() -> None:
    _, logger = train(lambda number, loss: StepReport(loss.detach(), {}, 1, 1), 1, [PreferenceDiagnostic()])
    assert not [key for _, metrics in logger.calls for key in metrics if key.startswith("rewards")]

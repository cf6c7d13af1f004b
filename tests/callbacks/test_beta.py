"""A learnt β, over all pairs of a window."""

import pytest
import torch
from reference.toy_training import train
from torch import Tensor

from qstar_pl.callbacks import BetaDiagnostic
from qstar_pl.types import StepReport

BETAS = torch.tensor([0.1, 0.4, 0.2, 0.9, 0.3, 0.5])


def parts(sizes: list[int]) -> list[dict[str, float]]:
    chunks = BETAS.split(sizes)

    def report(number: int, loss: Tensor) -> StepReport:
        return StepReport(loss.detach(), {}, 1, 1, {"beta": chunks[number]})

    _, logger = train(report, len(sizes), [BetaDiagnostic()], accumulate_grad_batches=len(sizes))
    return [metrics for _, metrics in logger.calls]


@pytest.mark.parametrize("sizes", [[6], [1, 3, 2], [1, 1, 1, 1, 1, 1]])
def test_however_the_pairs_are_split(sizes: list[int]) -> None:
    (got,) = parts(sizes)
    assert got["beta/mean"] == pytest.approx(0.4)
    assert got["beta/std"] == pytest.approx(float(BETAS.double().std(correction=0)), rel=1e-6)
    assert (got["beta/min"], got["beta/max"]) == (pytest.approx(0.1), pytest.approx(0.9))


def test_methods_without_one_are_left_alone() -> None:
    _, logger = train(lambda number, loss: StepReport(loss.detach(), {}, 1, 1), 1, [BetaDiagnostic()])
    assert not [key for _, metrics in logger.calls for key in metrics if key.startswith("beta")]

"""Gradient statistics against brute force: each micro-step's gradient on its own, in float64."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from reference.gradients import Regression, brute_force, data, expected, fit

from qstar_pl.callbacks import GradientDiagnostic


@pytest.mark.parametrize(("micro_steps", "accumulate"), [(8, 4), (6, 2), (12, 12)])
def test_equals_brute_force(micro_steps: int, accumulate: int) -> None:
    _, logger = fit(micro_steps, accumulate)
    steps = brute_force(data(micro_steps), accumulate)
    assert [step for step, _ in logger.calls] == list(range(1, len(steps) + 1))
    for (_, got), gradients in zip(logger.calls, steps, strict=True):
        for key, value in expected([gradients], accumulate, batch=3).items():
            assert got[key] == pytest.approx(value, rel=1e-9), key


def test_a_window_of_steps_reduces_before_it_divides() -> None:
    _, logger = fit(12, 4, every=3)
    wanted = expected(brute_force(data(12), 4), 4, batch=3)
    ((_, got),) = logger.calls
    for key, value in wanted.items():
        assert got[key] == pytest.approx(value, rel=1e-9), key


def test_norm_is_measured_before_clipping() -> None:
    _, clipped = fit(4, 4, gradient_clip_val=1e-3)
    _, plain = fit(4, 4)
    assert clipped.calls[0][1]["grad/norm"] == plain.calls[0][1]["grad/norm"] > 1e-2


def test_an_incomplete_last_step_counts_the_micro_steps_that_it_has() -> None:
    _, logger = fit(7, 4)
    last = brute_force(data(7), 4)[1]
    assert len(last) == 3
    wanted = expected([last], 4, batch=3)
    for key, value in wanted.items():
        assert logger.calls[1][1][key] == pytest.approx(value, rel=1e-9), key


def test_a_single_micro_step_has_a_norm_and_no_made_up_variance() -> None:
    _, logger = fit(3, 1)
    for _, metrics in logger.calls:
        assert {key for key in metrics if key.startswith("grad/")} == {"grad/norm"}


def test_every_n_steps_leaves_the_variance_out_in_between() -> None:
    diagnostic = GradientDiagnostic(every_n_steps=2)
    _, logger = fit(12, 4, diagnostic=diagnostic)
    assert ["grad/variance" in metrics for _, metrics in logger.calls] == [True, False, True]
    gradients = brute_force(data(12), 4)[2]
    wanted = expected([gradients], 4, batch=3)
    assert logger.calls[2][1]["grad/variance"] == pytest.approx(wanted["grad/variance"], rel=1e-9)


def test_the_buffer_is_freed_after_training() -> None:
    diagnostic = GradientDiagnostic()
    fit(4, 4, diagnostic=diagnostic)
    assert diagnostic._previous == {}


def test_a_parameter_used_in_some_micro_steps_only() -> None:
    class Sometimes(Regression):
        def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
            out = super().training_step(batch, batch_idx)
            if batch_idx % 2:  # `extra` has no gradient in the first micro-step of each optimizer step
                out["loss"] = out["loss"] + (self.extra * (1.0 + batch_idx)).sum()
            return out

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD([*self.layer.parameters(), self.extra], lr=0.05)

    torch.manual_seed(0)
    module = Sometimes()
    module.extra = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    _, logger = fit(4, 2, module=module)
    plain = brute_force(data(4), 2)
    for index, (_, got) in enumerate(logger.calls):
        first, second = (np.append(g, [0.0, 0.0]) for g in plain[index])
        second[-2:] = 2.0 + 2 * index
        wanted = expected([[first, second]], 2, batch=3)
        assert got["grad/variance"] == pytest.approx(wanted["grad/variance"], rel=1e-9)
        assert got["grad/norm"] == pytest.approx(wanted["grad/norm"], rel=1e-9)


def test_manual_optimization_logs_the_norm_only() -> None:
    class Manual(Regression):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
            out = super().training_step(batch, batch_idx)
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(out["loss"])
            optimizer.step()
            return out

    _, logger = fit(2, 1, module=Manual())
    gradient = brute_force(data(2), 1)[0][0]
    assert logger.calls[0][1]["grad/norm"] == pytest.approx(math.sqrt((gradient**2).sum()))
    assert "grad/variance" not in logger.calls[0][1]


def test_manual_optimization_in_parts_that_add_up_has_a_variance() -> None:
    class InParts(Regression):
        answers_per_backward = 3

        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
            out = super().training_step(batch, batch_idx)
            optimizer = self.optimizers()
            for _ in range(2):  # steps of one batch
                optimizer.zero_grad()
                for part in zip(*(half.split(3) for half in batch), strict=True):
                    self.manual_backward(self.loss(part) / 2)
                optimizer.step()
            return out

    _, logger = fit(1, 1, module=InParts(), batch=6)
    ((x, y),) = data(1, 6)
    halves = list(zip(x.split(3), y.split(3), strict=True))
    wanted = expected(brute_force([*halves, *halves], 2), 2, batch=3)
    assert {key: logger.calls[-1][1].get(key) for key in wanted} == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_cannot_be_measured_is_left_out_in_silence(accumulate: int) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*grad.*")
        _, logger = fit(4, accumulate)
    assert [("grad/variance" in metrics, "grad/norm" in metrics) for _, metrics in logger.calls] == (
        [(accumulate > 1, True)] * (4 // accumulate)
    )

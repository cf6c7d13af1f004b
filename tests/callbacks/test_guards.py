"""Guards warn or stop when numbers leave their range."""

import warnings
from typing import Any

import pytest
import torch
from reference.toy_training import make_rows, report_of, train
from torch import Tensor

from qstar_pl.callbacks import AlphaDiagnostic, ESSDiagnostic, Guards, LossDiagnostic
from qstar_pl.errors import UserError
from qstar_pl.types import StepReport

ROWS = make_rows(6, 5)


def with_alpha(*alphas: float) -> Any:
    def reports(number: int, loss: Tensor) -> StepReport:
        return report_of({**ROWS, "alpha": ROWS["alpha"] * 0 + alphas[min(number, len(alphas) - 1)]}, loss)

    return reports


def watched(guards: Guards) -> list[Any]:
    return [guards, AlphaDiagnostic(), ESSDiagnostic(), LossDiagnostic()]


def test_silent_within_the_ranges() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(with_alpha(0.5), 3, watched(Guards()))
    assert not [w for w in caught if "left (" in str(w.message)]


def test_warns_of_alpha_once_per_n_occurrences() -> None:
    with pytest.warns(UserWarning, match=r"alpha/mean left \(0.1, 0.9\): 0.95 at step") as caught:
        train(with_alpha(0.95), 7, watched(Guards(repeat=3)))
    said = [str(w.message) for w in caught if "alpha/mean left" in str(w.message)]
    assert [text.partition("at step ")[2].split()[0] for text in said] == ["1", "4", "7"]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_sampler_that_is_one_of_the_policies_has_no_mixture_to_watch(alpha: float) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*left")
        train(with_alpha(alpha), 3, watched(Guards(ess_ratio=None)))


def test_warns_of_the_ess_ratio() -> None:
    def reports(number: int, loss: Tensor) -> StepReport:
        return report_of({**ROWS, "ess_policy": ROWS["ess_policy"] * 0 + 0.2}, loss)

    with pytest.warns(UserWarning, match=r"ess/ratio left \(0.5, 2\)"):
        train(reports, 1, watched(Guards()))


@pytest.mark.parametrize("bad", [0.95, 0.05, float("nan")])
def test_stops_at_the_step_if_asked_to(bad: float) -> None:
    trainer, logger = train(with_alpha(0.5, bad), 6, watched(Guards(action="stop")))
    assert trainer.global_step == 2
    assert len(logger.calls) == 2


def test_loss_range_is_checked_if_given() -> None:
    trainer, _ = train(with_alpha(0.5), 6, watched(Guards(loss=(0.0, 2.5), action="stop")))
    assert trainer.global_step == 3


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_always_ends_the_run_with_one_clear_line(bad: float) -> None:
    def reports(number: int, loss: Tensor) -> StepReport:
        return StepReport(torch.tensor(bad) if number == 2 else loss.detach(), {}, 1, 1)

    with pytest.raises(UserError, match=r"^loss/total must be finite, got (nan|inf) at step 3"):
        train(reports, 5, watched(Guards(alpha=None, ess_ratio=None)))


def test_a_nan_within_a_longer_window_is_seen_too() -> None:
    def reports(number: int, loss: Tensor) -> StepReport:
        return StepReport(loss.detach() * (float("nan") if number == 0 else 1), {}, 1, 1)

    with pytest.raises(UserError, match="at step 4"):
        train(reports, 4, watched(Guards()), every=4)


def test_says_that_it_watches_nothing() -> None:
    with pytest.warns(UserWarning, match="nothing to watch"):
        train(with_alpha(0.5), 1, [Guards()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": (0.9, 0.1)}, "alpha must be a range"),
        ({"action": "explode"}, 'action must be "warn" or "stop"'),
        ({"repeat": 0}, "repeat must be at least 1, got 0"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Guards(**options)

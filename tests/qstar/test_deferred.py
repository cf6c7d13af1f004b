import threading

import pytest
import torch
from torch import Tensor

from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.qstar import DisjointSupportError, KLSymmetricAlpha, geometric_mixture
from qstar_pl.qstar.checks import check_logprobs
from qstar_pl.qstar.deferred import Deferred, current, raising

ROWS = torch.tensor([4, 6, 9])


def mask(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.bool)


def over_tokens(findings: list[Tensor], counts: list[Tensor]) -> Deferred:
    deferred = Deferred()
    for time, (found, count) in enumerate(zip(findings, counts, strict=True)):
        with deferred.token(time, ROWS, count):
            deferred.note("wrong", found, raising(lambda places: UserError(f"wrong in {places}")))
    return deferred


def test_what_is_found_is_reported_by_row_and_position_when_it_is_read() -> None:
    deferred = over_tokens([mask(0, 0, 0), mask(1, 0, 1), mask(1, 1, 1)], [mask(1, 1, 1)] * 3)
    with pytest.raises(UserError, match=r"wrong in \[\(4, 1\), \(9, 1\)\]"):  # what follows may follow from it
        deferred.read()
    assert deferred.read(torch.tensor(7), torch.tensor(8)) == [7, 8]  # and not twice


def test_rows_that_have_ended_may_hold_anything() -> None:
    deferred = over_tokens([mask(0, 1, 0)] * 2, [mask(1, 0, 1)] * 2)
    assert deferred.read(torch.tensor(3)) == [3]


def test_of_several_checks_the_first_one_speaks() -> None:
    deferred = Deferred()
    with deferred.token(0, ROWS, mask(1, 1, 1)):
        for name in ("first", "second"):
            deferred.note(name, mask(0, 1, 0), raising(lambda places, name=name: UserError(name)))  # type: ignore[misc]
    with pytest.raises(UserError, match="first"):
        deferred.read()


def test_other_threads_and_what_comes_after_check_at_once() -> None:
    seen: list[object] = []
    deferred = Deferred()
    with deferred.token(0, ROWS, mask(1, 1, 1)):
        assert current() is deferred
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
    assert seen == [None]
    assert current() is None


def test_the_checks_of_the_mathematics_are_noted() -> None:
    """Each would be raised at once outside, and says here where it was found."""
    sound = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    left, right = sound.clone(), sound.clone()
    left[1, :2], right[1, 2:] = -torch.inf, -torch.inf
    left, right = left.log_softmax(-1), right.log_softmax(-1)
    broken, unnormalized = sound.clone(), sound.clone()
    broken[2], unnormalized[2] = torch.nan, 1.0
    alpha = torch.tensor([0.5, 0.5, 1.5])
    cases = [
        (lambda: KLSymmetricAlpha().mix(left, right, normalised=True), DisjointSupportError, r"in row \(6, 3\)"),
        (lambda: geometric_mixture(left, right, 0.5), DisjointSupportError, r"in row \(6, 3\)"),
        (lambda: geometric_mixture(sound, sound, alpha), UserError, r"alpha must lie in \[0, 1\].*\(9, 3\)"),
        (
            lambda: KLSymmetricAlpha().mix(broken, sound, normalised=True),
            NonFiniteError,
            r"policy_.*nan.* \(9, 3\)",
        ),
        (lambda: KLSymmetricAlpha()(sound, broken), NonFiniteError, r"target_logprobs.* nan in row \(9, 3\)"),
        (lambda: check_logprobs(logprobs=unnormalized), UserError, r"logprobs must be log-prob.*\(9, 3\)"),
    ]
    for call, error, words in cases:
        with pytest.raises(error):
            call()
        deferred = Deferred()
        with deferred.token(3, ROWS, mask(1, 1, 1)):
            call()
        with pytest.raises(error, match=words):
            deferred.read()
        with deferred.token(3, ROWS, mask(1, 0, 0)):
            call()
        deferred.read()


def test_contexts_that_did_not_converge_are_one_warning() -> None:
    generator = torch.Generator().manual_seed(0)
    policy, target = (4 * torch.randn(2, 3, 50, generator=generator)).log_softmax(-1)
    deferred = Deferred()
    for time in range(2):
        with deferred.token(time, ROWS, mask(1, 1, 0)):
            KLSymmetricAlpha(tol=1e-12, max_iter=1).mix(policy, target, normalised=True)
    with pytest.warns(RuntimeWarning, match="4 of 4 contexts are not within tol=1e-12") as told:
        deferred.read()
    assert len(told) == 1

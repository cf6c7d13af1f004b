"""Scripted numbers, one case of Leviathan et al.'s algorithm each."""

import pytest
import torch

from qstar_pl.samplers.couplings import Rejection
from qstar_pl.samplers.couplings.rejection import residual

P = torch.tensor([0.5, 0.3, 0.2, 0.0])
Q = torch.tensor([0.2, 0.3, 0.0, 0.5])


def settle(draft: int, accept: float, rest: float = 0.0, p: torch.Tensor = P, q: torch.Tensor = Q) -> tuple[int, bool]:
    numbers = {
        name: torch.tensor([value], dtype=torch.float64) for name, value in (("accept", accept), ("residual", rest))
    }
    settled = Rejection().settle(q[None], p[None], torch.tensor([draft]), numbers)
    return int(settled.tokens), bool(settled.accepted)


@pytest.mark.parametrize(
    ("draft", "accept", "expected"),
    [
        (0, 0.39, (0, True)),  # q/p = 0.4
        (0, 0.41, (3, False)),  # (q − p)₊ is at token 3 alone
        (1, 1 - 1e-12, (1, True)),  # p = q: whatever the number
        (2, 0.0, (3, False)),  # q = 0: a number of 0 accepts nothing
    ],
)
def test_a_draft_is_kept_below_the_ratio(draft, accept, expected) -> None:
    assert settle(draft, accept) == expected


def test_a_certain_draft_is_kept_with_the_probability_that_q_gives_it() -> None:
    certain = torch.tensor([0.0, 1.0, 0.0, 0.0])
    assert settle(1, 0.29, p=certain) == (1, True)
    # What remains is q without it: 0.2 and 0.5 of 0.7.
    assert settle(1, 0.31, rest=0.28, p=certain) == (0, False)
    assert settle(1, 0.31, rest=0.29, p=certain) == (3, False)


def test_without_a_proposal_the_token_is_one_of_q() -> None:
    nothing = torch.zeros(4)
    assert [settle(0, 0.0, rest=u, p=nothing) for u in (0.19, 0.21, 0.51)] == [(0, False), (1, False), (3, False)]


def test_equal_laws_leave_no_residual_and_no_nan() -> None:
    torch.testing.assert_close(residual(Q[None], Q[None]), Q[None])
    assert settle(0, 1.0, p=Q, q=Q)[0] == 0


def test_neither_law_is_written_into() -> None:
    p, q = P.clone(), Q.clone()
    settle(0, 0.9, p=p, q=q)
    assert torch.equal(p, P)
    assert torch.equal(q, Q)


def test_every_purpose_has_its_own_stream() -> None:
    assert len(set(Rejection().purposes)) == 3

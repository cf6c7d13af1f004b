import torch

from qstar_pl.qstar.whitening import whiten

VALUES = torch.tensor([[1.0, 2.0, 99.0], [6.0, 99.0, 99.0]], dtype=torch.float64)
MASK = torch.tensor([[True, True, False], [True, False, False]])


def test_mean_zero_and_unit_variance_over_what_counts():
    white = whiten(VALUES, MASK)
    # Mean 3, variance (4 + 1 + 9)/3.
    expected = torch.tensor([-2.0, -1.0, 3.0], dtype=torch.float64) / (14 / 3) ** 0.5
    torch.testing.assert_close(white[MASK], expected, rtol=1e-6, atol=1e-8)
    assert (white[~MASK] == 0).all()


def test_the_mean_is_removed_and_not_added_back():
    shifted = whiten(VALUES + 5, MASK)
    torch.testing.assert_close(shifted, whiten(VALUES, MASK))
    assert abs(float(shifted[MASK].mean())) < 1e-12


def test_two_ranks_whiten_as_one():
    totals: list[torch.Tensor] = []

    def record(total):
        totals.append(total)
        return total

    whole = whiten(VALUES, MASK, all_sum=record)
    replayed = iter(totals)
    rows = whiten(VALUES[:1], MASK[:1], all_sum=lambda _own: next(replayed))
    torch.testing.assert_close(rows, whole[:1])


def test_constant_values_become_zero():
    assert whiten(torch.full((4,), 2.0), torch.ones(4, dtype=torch.bool)).abs().max() == 0

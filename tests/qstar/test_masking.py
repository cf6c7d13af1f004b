import torch

from qstar_pl.qstar.masking import masked_mean, masked_sum


def test_masked_reductions_ignore_what_does_not_count():
    values = torch.tensor([[1.0, 2.0, torch.inf], [torch.nan, 4.0, 5.0]])
    mask = torch.tensor([[True, True, False], [False, True, True]])
    assert masked_sum(values, mask).item() == 12.0
    assert masked_sum(values, mask, dim=-1).tolist() == [3.0, 9.0]
    assert masked_mean(values, mask).item() == 3.0
    assert masked_mean(values, mask, dim=-1).tolist() == [1.5, 4.5]


def test_mean_of_nothing_is_nan_not_zero():
    assert masked_mean(torch.ones(3), torch.zeros(3, dtype=torch.bool)).isnan()


def test_gradient_does_not_leak_through_masked_positions():
    values = torch.tensor([1.0, -1.0], requires_grad=True)
    masked_sum(values.log(), torch.tensor([True, False])).backward()
    assert values.grad is not None
    assert values.grad[0] == 1.0

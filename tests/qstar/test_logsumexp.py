import torch

from qstar_pl.qstar import logsumexp


def test_equals_torch_and_its_gradient() -> None:
    values = 30 * torch.randn(4, 3, 17, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values[0, 0, :5] = -torch.inf
    values[0, 1] = -torch.inf
    values[0, 2, 3] = torch.inf
    torch.testing.assert_close(logsumexp(values), values.logsumexp(-1))
    smooth = torch.randn(3, 5, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(logsumexp, (smooth,))

import torch

from qstar_pl.qstar.losses import likelihood_loss


def test_sum_over_counted_tokens_only():
    logprobs = torch.tensor([[-1.0, -2.0, -50.0], [-0.5, -50.0, -50.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert likelihood_loss(logprobs, mask).tolist() == [3.0, 0.5]

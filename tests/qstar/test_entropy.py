import math

import torch
from reference.pairs import random_pair

from qstar_pl.qstar import entropy, entropy_alpha


def test_known_values() -> None:
    rows = torch.tensor([[0.25] * 4, [1.0, 0, 0, 0], [0.5, 0.5, 0, 0]]).log()
    torch.testing.assert_close(entropy(rows), torch.tensor([math.log(4), 0.0, math.log(2)]))
    p, _ = random_pair(6, 50)
    torch.testing.assert_close(entropy(p), torch.distributions.Categorical(logits=p).entropy())


def test_alpha_is_the_policys_share() -> None:
    policy, target = torch.tensor([[0.25] * 4, [1.0, 0, 0, 0], [0.7, 0.3, 0, 0]]).log(), torch.zeros(3, 4)
    target = torch.tensor([[0.5, 0.5, 0, 0], [0, 1.0, 0, 0], [1.0, 0, 0, 0]]).log()
    torch.testing.assert_close(entropy_alpha(policy, target), torch.tensor([2 / 3, 0.5, 1.0]))


def test_gradient() -> None:
    (logits, _) = random_pair(2, 6)
    assert torch.autograd.gradcheck(lambda x: entropy(x.log_softmax(-1)), (logits.requires_grad_(),))

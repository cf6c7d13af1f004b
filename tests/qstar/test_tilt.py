import torch
from reference.pairs import random_pair

from qstar_pl.qstar.tilt import cumulants


def test_derivatives_of_the_log_partition_function() -> None:
    policy, target = random_pair(3, 20)
    direction = policy - target
    alpha = torch.tensor([-0.5, 0.3, 1.7], dtype=torch.float64, requires_grad=True)
    log_z = (target + alpha[:, None] * direction).logsumexp(-1)
    derivatives = [log_z]
    for _ in range(3):
        (derivative,) = torch.autograd.grad(derivatives[-1].sum(), alpha, create_graph=True)
        derivatives.append(derivative)
    found = cumulants(target, direction, alpha.detach())
    for value, expected in zip((found.log_z, found.mean, found.variance, found.third), derivatives, strict=True):
        torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(found.rms**2, found.variance + found.mean**2)


def test_tokens_outside_the_support_do_not_count() -> None:
    policy, target = random_pair(2, 10)
    wide = torch.cat([target, torch.full((2, 3), -torch.inf)], -1)
    direction = torch.cat([policy - target, torch.zeros(2, 3)], -1)
    alpha = torch.tensor([0.2, 0.9], dtype=torch.float64)
    for name, value in vars(cumulants(wide, direction, alpha)).items():
        torch.testing.assert_close(value, getattr(cumulants(target, policy - target, alpha), name))

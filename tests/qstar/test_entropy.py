import math

import pytest
import torch
from reference.pairs import certain_pair, random_pair

from qstar_pl.errors import UserError
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


@pytest.mark.parametrize("peak", [8.0, 14.0, 20.0, 40.0])
def test_float32_where_both_are_nearly_certain(peak: float) -> None:
    logits = certain_pair(peak)
    # In float64 with the mode's log-probability as log(1 − Σ others).
    exact = []
    for values in logits:
        tail = (values.double() - values.double().amax(-1, keepdim=True)).sort(-1).values[:, :-1]
        log_total = tail.exp().sum(-1).log1p()
        others = ((log_total.unsqueeze(-1) - tail) * tail.exp()).sum(-1)
        exact.append((others + log_total) / log_total.exp())
    found = [entropy(values.log_softmax(-1)).double() for values in logits]
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=0)
    alpha = entropy_alpha(*(values.log_softmax(-1) for values in logits))
    torch.testing.assert_close(alpha.double(), exact[0] / (exact[0] + exact[1]), atol=1e-5, rtol=0)


def test_gradient_next_to_certainty() -> None:
    logits = torch.tensor([[9.0, 0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: entropy(x.log_softmax(-1)), (logits,))


def test_what_is_no_distribution_is_refused() -> None:
    rows = torch.tensor([[0.5, 0.5], [0.5, 0.3]]).log()
    good = torch.tensor([[0.5, 0.5], [0.2, 0.8]]).log()
    for wrong in (rows, rows.index_fill(0, torch.tensor([1]), torch.nan), good - torch.tensor([[0.0], [3.0]])):
        with pytest.raises(UserError, match=r"logprobs must be log-probabilities .* in row 1$"):
            entropy(wrong)
        with pytest.raises(UserError, match=r"policy_logprobs must be .* in row 1$"):
            entropy_alpha(wrong, good)
        with pytest.raises(UserError, match=r"target_logprobs must be .* in row 1$"):
            entropy_alpha(good, wrong)

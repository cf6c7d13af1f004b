import torch

from qstar_pl.qstar.losses import policy_gradient_loss


def test_hand_computed():
    logprobs = torch.tensor([[-1.0, -2.0, -9.0]], requires_grad=True)
    weights = torch.tensor([[0.5, 2.0, 0.0]])
    advantages = torch.tensor([[3.0, 3.0, 0.0]])
    mask = torch.tensor([[True, True, False]])
    loss = policy_gradient_loss(logprobs, weights, advantages, mask)
    assert loss.item() == 1.5 + 12.0
    loss.sum().backward()
    assert logprobs.grad.tolist() == [[-1.5, -6.0, 0.0]]


def test_no_gradient_reaches_weights_or_advantages():
    weights = torch.ones(1, 2, requires_grad=True)
    advantages = torch.ones(1, 2, requires_grad=True)
    logprobs = torch.zeros(1, 2, requires_grad=True)
    policy_gradient_loss(logprobs, weights, advantages, torch.ones(1, 2, dtype=torch.bool)).sum().backward()
    assert weights.grad is None
    assert advantages.grad is None


def test_weighted_gradient_is_the_policy_gradient_by_enumeration():
    """Σ_y q(y) · ∇loss(y) over all outcomes of one categorical step equals −∇E_πθ[r], whatever q is."""
    torch.manual_seed(0)
    logits = torch.randn(6, dtype=torch.float64, requires_grad=True)
    rewards = torch.randn(6, dtype=torch.float64)
    log_q = torch.randn(6, dtype=torch.float64).log_softmax(-1)
    logprobs = logits.log_softmax(-1)
    weights = (logprobs - log_q).exp()
    losses = policy_gradient_loss(
        logprobs.unsqueeze(-1), weights.unsqueeze(-1), rewards.unsqueeze(-1), torch.ones(6, 1, dtype=torch.bool)
    )
    (estimate,) = torch.autograd.grad((log_q.exp() * losses).sum(), logits, retain_graph=True)
    (exact,) = torch.autograd.grad(-(logits.softmax(-1) * rewards).sum(), logits)
    torch.testing.assert_close(estimate, exact)

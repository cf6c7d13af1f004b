import pytest
import torch

from qstar_pl.qstar.kl_estimators import K1, K2, K3

P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
Q = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
KL = float((P * (P / Q).log()).sum())
LOG_RATIO = (P / Q).log()


def test_k1_and_k3_are_unbiased_and_k2_is_not():
    assert float((P * K1()(LOG_RATIO)).sum()) == pytest.approx(KL, abs=1e-12)
    assert float((P * K3()(LOG_RATIO)).sum()) == pytest.approx(KL, abs=1e-12)
    assert abs(float((P * K2()(LOG_RATIO)).sum()) - KL) > 1e-3


def test_k2_and_k3_are_never_negative():
    ratios = torch.linspace(-5, 5, 101, dtype=torch.float64)
    assert (K2()(ratios) >= 0).all()
    assert (K3()(ratios) >= 0).all()
    assert (K1()(ratios) < 0).any()


def gradient(estimator, logits):
    """E_p of the derivative of the estimate, samples held fixed: what differentiating it as a loss gives."""
    logprobs = logits.log_softmax(-1)
    return torch.autograd.grad((logprobs.exp().detach() * estimator(logprobs - Q.log())).sum(), logits)[0]


def test_gradients_as_losses_are_the_ones_documented():
    logits = P.log().clone().requires_grad_()
    p = logits.softmax(-1)
    (reverse,) = torch.autograd.grad((p * (p.log() - Q.log())).sum(), logits, retain_graph=True)
    (forward,) = torch.autograd.grad((Q * (Q.log() - p.log())).sum(), logits)
    torch.testing.assert_close(gradient(K1(), logits), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(gradient(K2(), logits), reverse)
    torch.testing.assert_close(gradient(K3(), logits), forward)


def test_k3_keeps_digits_of_small_ratios():
    tiny = torch.tensor([1e-4], dtype=torch.float32)
    assert K3()(tiny).item() == pytest.approx(5e-9, rel=0.2)

import warnings

import pytest
import torch
from reference.pairs import random_pair

from qstar_pl.errors import UserError
from qstar_pl.qstar import (
    AlphaStrategy,
    EntropyAlpha,
    ESSBalanceAlpha,
    FixedAlpha,
    KLSymmetricAlpha,
    SNRAlpha,
    entropy_alpha,
    geometric_mixture,
    solve_ess_balance,
    solve_kl_symmetry,
    solve_snr,
)

STRATEGIES = [
    FixedAlpha(0.3),
    EntropyAlpha(),
    KLSymmetricAlpha(),
    KLSymmetricAlpha(solver="bisection"),
    ESSBalanceAlpha(),
    SNRAlpha(),
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
@pytest.mark.parametrize("shape", [(7,), (0, 7), (2, 7), (2, 3, 7)])
def test_mix_is_call_and_mixture(strategy: AlphaStrategy, shape: tuple[int, ...]) -> None:
    policy, target = random_pair(*shape, dtype=torch.float32)
    alpha, mixture = strategy.mix(policy, target)
    torch.testing.assert_close(alpha, strategy(policy, target))
    assert alpha.shape == shape[:-1]
    assert bool(((alpha >= 0) & (alpha <= 1)).all())
    expected = geometric_mixture(policy, target, alpha)
    torch.testing.assert_close(mixture.logprobs, expected.logprobs, atol=1e-5, rtol=0)
    torch.testing.assert_close(mixture.log_z, expected.log_z, atol=1e-5, rtol=0)


def test_each_strategy_is_its_criterion() -> None:
    policy, target = random_pair(5, 30)
    assert FixedAlpha(0.3)(policy, target).tolist() == [0.3] * 5
    torch.testing.assert_close(EntropyAlpha()(policy, target), entropy_alpha(policy, target))
    torch.testing.assert_close(KLSymmetricAlpha()(policy, target), solve_kl_symmetry(policy, target).alpha)
    torch.testing.assert_close(ESSBalanceAlpha()(policy, target), solve_ess_balance(policy, target).alpha)
    torch.testing.assert_close(SNRAlpha()(policy, target), solve_snr(policy, target).alpha)
    tight = KLSymmetricAlpha(tol=1e-10)(policy, target)
    assert not torch.equal(tight, KLSymmetricAlpha(tol=0.5)(policy, target))
    slow = KLSymmetricAlpha(solver="bisection", max_iter=40)(policy, target)
    torch.testing.assert_close(slow, tight, atol=1e-7, rtol=0)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_gradient_reaches_the_mixture_not_alpha(strategy: AlphaStrategy) -> None:
    logits, target = random_pair(2, 7)
    logits.requires_grad_()
    alpha, mixture = strategy.mix(logits.log_softmax(-1), target)
    assert not alpha.requires_grad
    mixture.logprobs[:, 0].sum().backward()
    expected = alpha[:, None] * (torch.eye(7, dtype=torch.float64)[0] - mixture.logprobs.detach().exp())
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("strategy", [KLSymmetricAlpha, ESSBalanceAlpha, SNRAlpha])
def test_rows_that_do_not_converge_are_reported(strategy: type[AlphaStrategy]) -> None:
    policy, target = random_pair(4, 12, seed=2, scale=0.5)  # SNR: one row at the boundary
    for method in ("__call__", "mix"):
        with pytest.warns(RuntimeWarning, match=r"[34] of 4 contexts are not within tol=1e-12 after max_iter=1"):
            getattr(strategy(tol=1e-12, max_iter=1), method)(policy, target)  # type: ignore[call-arg]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            getattr(strategy(), method)(policy, target)


def test_fallback_for_disjoint_rows() -> None:
    policy = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]).log()
    target = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.3, 0.2]]).log()
    for strategy in (KLSymmetricAlpha, ESSBalanceAlpha, SNRAlpha):
        with pytest.raises(UserError, match="row 0"):
            strategy().mix(policy, target)
        for fallback, expected in (("policy", policy), ("target", target)):
            _, mixture = strategy(on_disjoint=fallback).mix(policy, target)  # type: ignore[arg-type]
            assert torch.equal(mixture.logprobs[0], expected[0])


@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        (FixedAlpha, {"value": 1.2}, r"value must lie in \[0, 1\], got 1.2"),
        (KLSymmetricAlpha, {"tol": 0.0}, "tol must be positive, got 0.0"),
        (ESSBalanceAlpha, {"max_iter": 0}, "max_iter must be at least 1, got 0"),
        (KLSymmetricAlpha, {"solver": "secant"}, "solver must be newton, compiled or bisection, got secant"),
        (SNRAlpha, {"on_disjoint": "skip"}, "on_disjoint must be raise, policy or target, got skip"),
    ],
)
def test_bad_options(strategy: type[AlphaStrategy], options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        strategy(**options)


def test_reachable_from_yaml() -> None:
    jsonargparse = pytest.importorskip("jsonargparse")
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--alpha", type=AlphaStrategy)
    options = parser.parse_args(["--alpha=KLSymmetricAlpha", "--alpha.tol=1e-6", "--alpha.solver=bisection"])
    assert parser.instantiate(options).alpha == KLSymmetricAlpha(tol=1e-6, solver="bisection")
    with pytest.raises(jsonargparse.ArgumentError):
        parser.parse_args(["--alpha=KLSymmetricAlpha", "--alpha.solver=secant"])

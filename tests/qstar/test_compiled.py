"""The pass that is compiled, mostly as it is before it is; a compiler takes half a minute (`-m slow`)."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from reference.compilers import held_after, leaving

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from pairs import pair_families

from qstar_pl.errors import UserError
from qstar_pl.qstar import DisjointSupportError, KLSymmetricAlpha, compiled, mix_kl_symmetric

TOL = 1e-3


@pytest.fixture(autouse=True)
def _not_compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    compiled._graph.cache_clear()
    if "slow" not in request.keywords:
        monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    yield
    compiled._graph.cache_clear()


def agrees(dtype: torch.dtype = torch.float32) -> int:
    """Compare all families with the solver; return how many were done in the compiled pass."""
    families = pair_families(3, 300).values()
    policy, target = (torch.cat(rows).to(dtype) for rows in zip(*families, strict=True))
    expected, expected_mixture = mix_kl_symmetric(policy, target, normalised=True)
    said, mixture = compiled.mix_kl_symmetric_compiled(policy, target, normalised=True)
    assert torch.equal(said.status, expected.status)
    assert torch.equal(said.converged, expected.converged)
    assert (said.alpha - expected.alpha).abs().max() < TOL / 10
    # A shift of α moves log q by as much as the log-ratio, which is 100 nats here and there.
    torch.testing.assert_close(mixture.logprobs.exp(), expected_mixture.logprobs.exp(), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(said.log_z, expected.log_z, atol=1e-5, rtol=1e-4)
    done = compiled.first_pass(policy.float(), target.float(), TOL).done
    return int(done.sum())


def test_agrees_with_the_solver_on_every_family() -> None:
    done = agrees()
    assert 25 < done < 60  # of 60: some need another pass, or differ in support


def test_half_precision() -> None:
    agrees(torch.bfloat16)


def test_disjoint_rows_are_named_as_the_solver_names_them() -> None:
    policy = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]).log()
    target = torch.tensor([[0.3, 0.7, 0.0], [0.0, 0.5, 0.5]]).log()
    with pytest.raises(DisjointSupportError, match="in row 1"):
        KLSymmetricAlpha(solver="compiled").mix(policy, target)
    alpha, mixture = KLSymmetricAlpha(solver="compiled", on_disjoint="policy").mix(policy, target)
    assert alpha[1] == 1
    assert torch.equal(mixture.logprobs[1], policy[1])
    with pytest.raises(UserError, match="target_logprobs must be log-probabilities"):
        KLSymmetricAlpha(solver="compiled").mix(policy, target + 1)


def test_leading_shapes_and_no_rows() -> None:
    policy, target = (torch.randn(2, 3, 7).log_softmax(-1) for _ in range(2))
    alpha, mixture = KLSymmetricAlpha(solver="compiled").mix(policy, target)
    assert alpha.shape == (2, 3)
    assert mixture.logprobs.shape == (2, 3, 7)
    assert KLSymmetricAlpha(solver="compiled").mix(policy[:0], target[:0])[0].shape == (0, 3)


def test_what_the_compiler_leaves_behind_holds_no_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", leaving)
    policy, target = (torch.randn(2, 7).log_softmax(-1) for _ in range(2))
    assert not held_after(lambda: KLSymmetricAlpha(solver="compiled").mix(policy, target))


def test_without_a_compiler_it_is_the_solver_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no C++ compiler\nlong trace")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    policy, target = (torch.randn(2, 7).log_softmax(-1) for _ in range(2))
    for _ in range(2):
        alpha, mixture = KLSymmetricAlpha(solver="compiled").mix(policy, target)
    expected = KLSymmetricAlpha().mix(policy, target)
    assert torch.equal(alpha, expected[0])
    assert torch.equal(mixture.logprobs, expected[1].logprobs)
    said = "the α solver is not compiled (RuntimeError: no C++ compiler); it goes operation by operation"
    assert capsys.readouterr().err == f"notice: {said}\n"


@pytest.mark.slow
def test_compiled_it_says_the_same() -> None:
    assert agrees() > 25

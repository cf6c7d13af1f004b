import math
from pathlib import Path

import pytest
import torch
from reference import mixtures
from reference.pairs import certain_pair, pair_families, random_pair

from qstar_pl.errors import UserError
from qstar_pl.qstar import (
    AlphaStatus,
    DisjointSupportError,
    bisect_kl_symmetry,
    geometric_mixture,
    kl_divergence,
    mix_kl_symmetric,
    solve_ess_balance,
    solve_kl_symmetry,
    solve_snr,
)
from qstar_pl.theory.pair import bisect_alpha, compare, visit

FAMILIES = pair_families(4, 400)
ALL = sorted(FAMILIES)
# Passes over the vocabulary at the default tolerance.
MOST_PASSES = {"near_1e-06": 1, "lm_0.3": 1, "lm_1.0": 1, "temp_2.0": 1, "lm_3.0": 2, "sharp_vs_flat": 3}


def true_gap(policy: torch.Tensor, target: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    rows = zip(mixtures.as_probabilities(policy), mixtures.as_probabilities(target), alpha.tolist(), strict=True)
    return torch.tensor([mixtures.kl_gap(p, t, a) for p, t, a in rows], dtype=torch.float64)


@pytest.mark.parametrize("name", ALL)
def test_float64_finds_the_root(name: str) -> None:
    policy, target = FAMILIES[name]
    solution = solve_kl_symmetry(policy, target, tol=1e-11)
    assert bool(solution.converged.all())
    assert int(solution.iterations.max()) <= 6
    gap = true_gap(policy, target, solution.alpha)
    torch.testing.assert_close(solution.kl_gap, gap, atol=1e-9, rtol=0)
    assert gap.abs().max() < 1e-9
    if not name.startswith(("near", "onehot_same")):
        torch.testing.assert_close(solution.alpha, mixtures.root(mixtures.kl_gap, policy, target), atol=1e-8, rtol=0)


@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("name", ALL)
def test_float32_meets_its_tolerance(name: str, tol: float) -> None:
    policy, target = (x.float() for x in FAMILIES[name])
    solution = solve_kl_symmetry(policy, target, tol=tol)
    assert bool(solution.converged.all())
    exact = bisect_kl_symmetry(*FAMILIES[name], max_iter=50)
    # Log-ratios of 1e-3 are float32 to 1e-3 themselves, and leave α to some 1e-4.
    torch.testing.assert_close(solution.alpha.double(), exact.alpha, atol=max(tol, 3e-4), rtol=0)
    ratio = torch.where(FAMILIES[name][0].isinf() | FAMILIES[name][1].isinf(), 0.0, policy - target).double()
    spread = ratio.amax(-1) - ratio.amin(-1)
    gap = true_gap(*FAMILIES[name], solution.alpha)
    # The gap is carried along the last step: off by what the tolerance in α is worth in nats.
    assert bool(((solution.kl_gap - gap).abs() <= 2 * tol * (0.5 * spread).square() + 1e-6).all())
    if tol == 1e-3 and name in MOST_PASSES:
        assert int(solution.iterations.max()) <= MOST_PASSES[name]


NEARLY = [(peak, noise) for peak in (8.0, 14.0, 20.0, 30.0, 60.0) for noise in (1.0, 0.3)]


@pytest.mark.parametrize(("peak", "noise"), NEARLY)
@pytest.mark.parametrize("solve", [solve_kl_symmetry, bisect_kl_symmetry, lambda p, t: mix_kl_symmetric(p, t)[0]])
def test_nearly_certain_rows_are_not_sent_to_the_middle(solve, peak: float, noise: float) -> None:
    # The same token has all but e^−peak of both laws; next to it float32 rounds the mode's log-probability to 1e-7.
    logits = certain_pair(peak, noise=noise)
    exact = bisect_alpha(*(x.double() for x in logits))
    solution = solve(*(x.log_softmax(-1) for x in logits))
    reach = 14 if solve is bisect_kl_symmetry else 70  # float64 log-probabilities, too, end at 1e-16
    if peak <= 2 * reach:
        torch.testing.assert_close(solution.alpha.double(), exact, atol=3e-3, rtol=0)
    assert (exact - 0.5).abs().mean() > 0.01 * noise
    assert bool((solution.status == AlphaStatus.OK).all())


@pytest.mark.parametrize(("vocab", "rows"), [(105, 40), (50257, 6)])
@pytest.mark.parametrize("distance", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
def test_nearly_identical_rows_are_not_sent_to_the_boundary(distance: float, vocab: int, rows: int) -> None:
    generator = torch.Generator().manual_seed(vocab)
    logits = 2 * torch.randn(rows, vocab, generator=generator)
    logits[::2, 7] += torch.linspace(6, 25, rows // 2)  # half of them nearly certain, too
    other = logits + distance * torch.randn(rows, vocab, generator=generator)
    solution = solve_kl_symmetry(logits.log_softmax(-1), other.log_softmax(-1))
    exact = bisect_alpha(logits.double(), other.double())
    torch.testing.assert_close(solution.alpha.double(), exact, atol=1e-2, rtol=0)
    assert bool((solution.status <= AlphaStatus.IDENTICAL).all())
    assert bool(solution.converged.all())


def test_the_real_pair_sharpened(real_data: Path) -> None:
    folder = real_data / "tiny_models"
    models = str(folder / "babyllama_a"), str(folder / "babyllama_b")
    contexts = visit(*models, ["Once upon a time", "The dog"], 4, 64, 0)
    for factor in (1.0, 2.0, 4.0):
        measured, reference = compare(contexts.sharpened(factor))
        assert measured.alpha_mean == pytest.approx(reference.alpha_mean, abs=1e-3)
        assert measured.ess_ratio == pytest.approx(reference.ess_ratio, abs=1e-3)
        assert abs(reference.alpha_mean - 0.5) > 0.02


@pytest.mark.parametrize("name", ALL)
def test_chernoff_point(name: str) -> None:
    policy, target = FAMILIES[name]
    solution = solve_kl_symmetry(policy, target, tol=1e-11)
    mixture = geometric_mixture(policy, target, solution.alpha)
    torch.testing.assert_close(mixture.log_z, solution.log_z, atol=1e-9, rtol=0)
    torch.testing.assert_close(kl_divergence(mixture.logprobs, policy), -solution.log_z, atol=1e-7, rtol=0)
    torch.testing.assert_close(kl_divergence(mixture.logprobs, target), -solution.log_z, atol=1e-7, rtol=0)
    rows = list(zip(*map(mixtures.as_probabilities, (policy, target)), strict=True))
    for row, (p, t) in enumerate(rows):
        grid = [mixtures.log_partition(p, t, x) for x in torch.linspace(0, 1, 41).tolist()]
        assert solution.log_z[row].item() <= min(grid) + 1e-9


@pytest.mark.parametrize("name", ALL)
def test_bisection_agrees(name: str) -> None:
    policy, target = FAMILIES[name]
    slow = bisect_kl_symmetry(policy, target, max_iter=40)
    fast = solve_kl_symmetry(policy, target, tol=1e-10)
    assert torch.equal(slow.status, fast.status)
    assert slow.iterations.eq(40).all()
    torch.testing.assert_close(slow.log_z, fast.log_z, atol=1e-8, rtol=0)
    if not name.startswith(("near", "onehot_same")):
        torch.testing.assert_close(slow.alpha, fast.alpha, atol=1e-7, rtol=0)


def test_gaussian_closed_form() -> None:
    # N(0, 1) against N(m, 1): 0.5. Against N(m, s²): log Z is known, its minimizer by a dense grid of the formula.
    x = torch.linspace(-30, 30, 30001, dtype=torch.float64)
    policy, target = (-0.5 * x**2).log_softmax(-1), (-0.5 * (x - 2) ** 2).log_softmax(-1)
    assert abs(solve_kl_symmetry(policy, target, tol=1e-10).alpha.item() - 0.5) < 1e-8
    mean, variance = 1.5, 4.0
    wide = (-0.5 * (x - mean) ** 2 / variance).log_softmax(-1)
    alpha = torch.linspace(0, 1, 1_000_001, dtype=torch.float64)
    precision = alpha + (1 - alpha) / variance
    log_z = -0.5 * (1 - alpha) * math.log(variance) - 0.5 * precision.log()
    log_z = log_z - 0.5 * alpha * (1 - alpha) * mean**2 / variance / precision
    solution = solve_kl_symmetry(policy, wide, tol=1e-10)
    assert abs(solution.alpha.item() - alpha[log_z.argmin()].item()) < 2e-6
    assert abs(solution.log_z.item() - log_z.min().item()) < 1e-8


def test_two_tokens_closed_form_in_two_passes() -> None:
    p, t = 0.9, 0.3
    policy, target = (torch.tensor([x, 1 - x], dtype=torch.float64).log() for x in (p, t))
    # Σ w ℓ = 0: the tilted odds equal the inverse ratio of the log-ratios.
    up, down = math.log(p / t), math.log((1 - p) / (1 - t))
    expected = (math.log(-down / up) - math.log(t / (1 - t))) / (up - down)
    solution = solve_kl_symmetry(policy, target, tol=1e-12)
    assert abs(solution.alpha.item() - expected) < 1e-12
    assert solution.iterations.item() == 2


def test_exchange_and_near_limits() -> None:
    policy, target = random_pair(6, 50)
    forward, backward = (solve_kl_symmetry(a, b, tol=1e-10) for a, b in ((policy, target), (target, policy)))
    torch.testing.assert_close(forward.alpha, 1 - backward.alpha)
    torch.testing.assert_close(forward.log_z, backward.log_z)
    gaps = [kl_divergence(policy, (policy + s * target).log_softmax(-1)) for s in (0.1, 0.01)]
    near = [solve_kl_symmetry(policy, (policy + s * target).log_softmax(-1), tol=1e-12) for s in (0.1, 0.01)]
    # For close pairs α* → ½ and the Chernoff information → KL/4.
    assert (near[1].alpha - 0.5).abs().max() < (near[0].alpha - 0.5).abs().max() < 0.05
    torch.testing.assert_close(-near[1].log_z, gaps[1] / 4, rtol=0.02, atol=0)


@pytest.mark.parametrize("limit", [1, 2, 5, 10, 20, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_max_iter_is_honoured(limit: int, dtype: torch.dtype) -> None:
    distinct = [pair for name, pair in FAMILIES.items() if not name.startswith("near")]
    policy, target = (torch.cat([pair[i] for pair in distinct]).to(dtype) for i in (0, 1))
    solution = solve_kl_symmetry(policy, target, tol=1e-30, max_iter=limit)
    assert int(solution.iterations.max()) <= limit
    exhausted = solve_kl_symmetry(policy, target, tol=1e-6, max_iter=limit)
    exact = bisect_kl_symmetry(policy, target, max_iter=50).alpha
    error = (exhausted.alpha - exact).abs()
    assert bool((error[exhausted.converged] < (1e-4 if dtype == torch.float32 else 5e-6)).all())
    assert bool(exhausted.converged.all()) or limit < 5
    if limit == 1:  # what ran out took its last step all the same
        assert not bool(exhausted.converged.all())
        assert error[~exhausted.converged].mean() < (exact - 0.5).abs()[~exhausted.converged].mean()
    assert bisect_kl_symmetry(policy, target, max_iter=limit).iterations.unique().tolist() == [limit]


def test_bisection_has_converged_only_within_its_tolerance() -> None:
    """With 9 halvings the error may reach 2^-9, which is more than 1e-3."""
    policy, target = random_pair(64, 20)
    for limit, tol in ((9, 1e-3), (10, 1e-3), (6, 0.5**7), (6, 0.5**6)):
        solution = bisect_kl_symmetry(policy, target, tol=tol, max_iter=limit)
        exact = bisect_kl_symmetry(policy, target, max_iter=50)
        assert bool(solution.converged[exact.status == AlphaStatus.OK].all()) is (0.5**limit <= tol)
        assert bool(((solution.alpha - exact.alpha).abs() <= tol)[solution.converged].all())


def test_a_row_does_not_depend_on_its_company() -> None:
    names = [name for name in ALL if name != "near_1e-06"]
    policy, target = (torch.cat([FAMILIES[name][i] for name in names]).float() for i in (0, 1))
    together = solve_kl_symmetry(policy, target)
    for row in range(policy.shape[0]):
        alone = solve_kl_symmetry(policy[row], target[row])
        assert together.iterations[row] == alone.iterations
        torch.testing.assert_close(together.alpha[row], alone.alpha, atol=1e-6, rtol=0)
    # Rows that needed fewer passes kept the α of the pass at which they were done.
    early = solve_kl_symmetry(policy, target, max_iter=1)
    done = early.converged
    assert 0 < int(done.sum()) < len(done)
    assert torch.equal(early.alpha[done], together.alpha[done])


def test_blocks_of_rows_are_joined_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, target = random_pair(7, 50)
    whole, (_, mixed) = solve_kl_symmetry(policy, target), mix_kl_symmetric(policy, target)
    monkeypatch.setattr("qstar_pl.qstar.solve.BLOCK_ELEMENTS", 100)
    parts, (_, mixed_parts) = solve_kl_symmetry(policy, target), mix_kl_symmetric(policy, target)
    torch.testing.assert_close(parts.alpha, whole.alpha)
    torch.testing.assert_close(mixed_parts.logprobs, mixed.logprobs)


@pytest.mark.parametrize("solve", [solve_kl_symmetry, bisect_kl_symmetry])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_how_far_identical_reaches(solve, dtype: torch.dtype) -> None:
    # Two tokens whose log-ratios are ±d: within 16 eps they count as equal, beyond it they do not.
    eps = torch.finfo(dtype).eps
    for distance, status in ((8 * eps, AlphaStatus.IDENTICAL), (32 * eps, AlphaStatus.OK)):
        policy = torch.tensor([0.5, 0.5], dtype=torch.float64).log()
        target = policy + distance * torch.tensor([1.0, -1.0], dtype=torch.float64)
        solution = solve(policy.to(dtype), target.to(dtype))
        assert solution.status == status, distance
        if status == AlphaStatus.IDENTICAL or solve is solve_kl_symmetry:
            assert abs(solution.alpha.item() - 0.5) < 1e-2


def test_identical() -> None:
    policy, _ = random_pair(3, 50, dtype=torch.float32)
    policy[2, :10] = -torch.inf
    policy = policy.log_softmax(-1)
    for solve in (solve_kl_symmetry, bisect_kl_symmetry):
        solution = solve(policy, policy.clone())
        assert solution.status.tolist() == [AlphaStatus.IDENTICAL] * 3
        assert solution.alpha.tolist() == [0.5] * 3
        assert bool(solution.converged.all())


@pytest.mark.parametrize("solve", [solve_kl_symmetry, bisect_kl_symmetry])
def test_boundary(solve) -> None:
    none = -torch.inf
    policy = torch.tensor([[0.5, 0.5, 0.0], [0.1, 0.1, 0.8], [0.5, 0.5, 0.0]]).log()
    target = torch.tensor([[0.1, 0.1, 0.8], [0.5, 0.5, 0.0], [0.4, 0.6, 0.0]]).log()
    solution = solve(policy, target)
    assert solution.status.tolist() == [AlphaStatus.BOUNDARY, AlphaStatus.BOUNDARY, AlphaStatus.OK]
    assert solution.alpha[:2].tolist() == [0.0, 1.0]
    torch.testing.assert_close(solution.kl_gap[:2], torch.tensor([-math.log(5), math.log(5)]))
    assert solution.log_z[:2].tolist() == [0.0, 0.0]
    assert policy[0, 2] == none
    if solve is solve_kl_symmetry:
        _, mixture = mix_kl_symmetric(policy, target)
        assert torch.equal(mixture.logprobs[:2], torch.stack([target[0], policy[1]]))


@pytest.mark.parametrize("solve", [solve_kl_symmetry, bisect_kl_symmetry])
def test_disjoint(solve) -> None:
    policy, target = random_pair(2, 3, 6, dtype=torch.float32)
    policy[0, 2, :3], target[0, 2, 3:] = -torch.inf, -torch.inf
    policy, target = policy.log_softmax(-1), target.log_softmax(-1)
    with pytest.raises(DisjointSupportError, match=r"row \(0, 2\)") as caught:
        solve(policy, target)
    assert isinstance(caught.value, ValueError)
    assert caught.value.rows == ((0, 2),)
    for fallback, alpha, gap in (("policy", 1.0, -math.inf), ("target", 0.0, math.inf)):
        solution = solve(policy, target, on_disjoint=fallback)
        assert solution.status[0, 2] == AlphaStatus.DISJOINT
        assert solution.alpha[0, 2] == alpha
        assert solution.kl_gap[0, 2] == gap
        assert bool((solution.status.flatten()[[0, 1, 3, 4, 5]] == AlphaStatus.OK).all())
    _, mixture = mix_kl_symmetric(policy, target, on_disjoint="policy")
    assert torch.equal(mixture.logprobs[0, 2], policy[0, 2])


def test_one_hot_rows() -> None:
    policy = torch.full((2, 4), -torch.inf)
    policy[:, 1] = 0.0
    target = policy.clone()
    target[1] = torch.tensor([0.7, 0.1, 0.1, 0.1]).log()
    solution = solve_kl_symmetry(policy, target)
    assert solution.status.tolist() == [AlphaStatus.IDENTICAL, AlphaStatus.BOUNDARY]
    assert not bool(torch.stack([solution.alpha, solution.kl_gap, solution.log_z]).isnan().any())


def test_extreme_peaks_do_not_underflow() -> None:
    # −log Z is 1000 nats: far below the smallest float32, and float64 too.
    logits = torch.zeros(2, 5)
    logits[0, 0], logits[1, 1] = 2000.0, 2000.0
    policy, target = logits.log_softmax(-1)
    solution = solve_kl_symmetry(policy, target)
    assert abs(solution.alpha.item() - 0.5) < 1e-6
    assert abs(solution.log_z.item() + 1000) < 1e-2 or solution.log_z.item() > -1000.01


@pytest.mark.parametrize("shape", [(7,), (0, 7), (2, 7), (2, 3, 7), (2, 0, 7)])
@pytest.mark.parametrize("solve", [solve_kl_symmetry, bisect_kl_symmetry])
def test_shapes(solve, shape: tuple[int, ...]) -> None:
    policy, target = random_pair(*shape)
    solution = solve(policy, target)
    assert {tuple(value.shape) for value in vars(solution).values()} == {shape[:-1]}
    _, mixture = mix_kl_symmetric(policy, target)
    assert mixture.logprobs.shape == shape


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_solved_in_float32(dtype: torch.dtype) -> None:
    policy, target = random_pair(4, 300, dtype=dtype)
    solution = solve_kl_symmetry(policy, target)
    assert solution.alpha.dtype == torch.float32
    again = [x.float().log_softmax(-1) for x in (policy, target)]
    torch.testing.assert_close(solution.alpha, solve_kl_symmetry(*again).alpha)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("peak", [1.0, 8.0, 14.0])
def test_half_precision_keeps_the_exponent(dtype: torch.dtype, peak: float) -> None:
    logits = certain_pair(peak)
    exact = bisect_alpha(*(x.double() for x in logits))
    for solve in (solve_kl_symmetry, lambda p, t: mix_kl_symmetric(p, t)[0]):
        found = solve(*(x.log_softmax(-1).to(dtype) for x in logits))
        torch.testing.assert_close(found.alpha.double(), exact, atol=2e-2, rtol=0)


@pytest.mark.parametrize("name", ALL)
def test_mix_is_the_mixture_at_the_solution(name: str) -> None:
    policy, target = (x.float() for x in FAMILIES[name])
    before = policy.clone(), target.clone()
    solution, mixture = mix_kl_symmetric(policy, target)
    expected = geometric_mixture(policy.double(), target.double(), solution.alpha.double())
    torch.testing.assert_close(mixture.logprobs.double(), expected.logprobs, atol=5e-5, rtol=0)
    torch.testing.assert_close(mixture.logprobs.exp().sum(-1), torch.ones(4), atol=2e-5, rtol=0)
    torch.testing.assert_close(mixture.log_z, solution.log_z)
    assert torch.equal(policy, before[0])
    assert torch.equal(target, before[1])


def test_what_is_not_log_probabilities() -> None:
    policy, target = random_pair(3, 6)
    for wrong in (policy.exp() * 3, policy + 10, policy - 0.2, policy.masked_fill(policy > -1, torch.nan)):
        for solve in (solve_kl_symmetry, mix_kl_symmetric, bisect_kl_symmetry, solve_ess_balance, solve_snr):
            with pytest.raises(UserError, match="policy_logprobs must be log-probabilities"):
                solve(wrong, target)
            with pytest.raises(UserError, match="target_logprobs must be log-probabilities"):
                solve(policy, wrong)
    with pytest.raises(UserError, match="one shape"):
        solve_kl_symmetry(policy, target[:, :3])
    with pytest.raises(UserError, match="tol must be positive"):
        solve_kl_symmetry(policy, target, tol=0)
    with pytest.raises(UserError, match="max_iter must be at least 1"):
        solve_kl_symmetry(policy, target, max_iter=0)

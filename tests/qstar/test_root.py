import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from qstar_pl.qstar.kl_symmetry import KLSymmetryProblem
from qstar_pl.qstar.root import Evaluation, RootProblem, Step, carried_log_z, find_root, two_point_step


def step_of(value: float | Tensor, slope: float | Tensor, curvature: float | Tensor) -> Tensor:
    value, slope, curvature = (torch.as_tensor(x, dtype=torch.float64) for x in (value, slope, curvature))
    zero = torch.zeros_like(value)
    return two_point_step(Evaluation(value, slope, curvature, zero, zero, zero, zero)).size


def test_two_point_step_is_exact_for_two_atoms() -> None:
    atoms, weights = torch.tensor([-0.7, 2.5], dtype=torch.float64), torch.tensor([0.2, 0.8], dtype=torch.float64)

    def mean(step: float) -> Tensor:
        tilted = weights * (step * atoms).exp()
        return (tilted * atoms).sum() / tilted.sum()

    first = (weights * atoms).sum()
    second, third = ((weights * (atoms - first) ** power).sum() for power in (2, 3))
    assert abs(mean(step_of(first, second, third).item()).item()) < 1e-12
    mirrored = step_of(-first, second, -third)
    torch.testing.assert_close(mirrored, -step_of(first, second, third))


def test_two_point_step_without_a_root_is_newtons() -> None:
    # Atoms 1 and 3: the tilted mean never falls to 0.
    assert step_of(2.0, 1.0, 0.0) == -2.0


def test_two_point_step_where_the_slope_is_all_but_0() -> None:
    # One token has all but 1e-34 of the mass; the tail's log-ratio is 3 nats: float32 holds no square of the slope.
    tail = torch.tensor([1e-34])
    now = Evaluation(-tail, 9 * tail, 27 * tail, *[torch.zeros(1)] * 4)
    step = two_point_step(now)
    torch.testing.assert_close(step.width, torch.tensor([3.0]))
    torch.testing.assert_close(step.size, torch.tensor([math.log(4 / 3) / 3]))


def test_carried_log_z_is_exact_for_two_atoms() -> None:
    logits, atoms = torch.tensor([0.3, -0.4], dtype=torch.float64), torch.tensor([-0.7, 2.5], dtype=torch.float64)
    alpha, size = (torch.tensor([x], dtype=torch.float64) for x in (0.5, 0.21))
    problem = KLSymmetryProblem.build(logits.unsqueeze(0), atoms.unsqueeze(0))
    now = problem.evaluate(alpha)
    carried = carried_log_z(now, size, two_point_step(now))
    torch.testing.assert_close(carried, problem.evaluate(alpha + size).log_z)


@dataclass(frozen=True)
class Awkward(RootProblem):
    """f(x) = sign(x − r)|x − r|^p with useless derivatives: only the bracket can find the root."""

    def evaluate(self, alpha: Tensor) -> Evaluation:
        offset = alpha - self.base[:, 0]
        value = offset.sign() * offset.abs() ** self.direction[:, 0]
        nan = torch.full_like(alpha, math.nan)
        return Evaluation(value, nan, nan, torch.zeros_like(alpha), torch.zeros_like(alpha), nan, nan)


def test_the_bracket_finds_what_steps_cannot() -> None:
    roots = torch.tensor([[0.0], [0.123], [0.5], [0.987], [1.0]], dtype=torch.float64)
    problem = Awkward(roots, torch.tensor([[1.0], [0.2], [1.0], [1.0], [1.0]], dtype=torch.float64))
    root = find_root(problem, torch.full((5,), 0.5, dtype=torch.float64), tol=1e-6, max_iter=60)
    assert bool(root.converged[[0, 2, 3, 4]].all())
    torch.testing.assert_close(root.alpha, roots[:, 0], atol=1e-6, rtol=0)
    assert root.iterations[2] == 1


def test_slow_steps_give_way_to_bisection() -> None:
    @dataclass(frozen=True)
    class Creeping(Awkward):
        def evaluate(self, alpha: Tensor) -> Evaluation:
            # A slope 1000 times too large: every step is tiny and stays inside the bracket.
            value = alpha - self.base[:, 0]
            return Evaluation(value, torch.full_like(value, 1000.0), *[torch.zeros_like(value)] * 5)

        def foresee(self, alpha: Tensor, now: Evaluation, step: Step) -> tuple[Tensor, Tensor]:
            return torch.ones_like(alpha), now.value

    problem = Creeping(torch.tensor([[0.9]]), torch.tensor([[1.0]]))
    root = find_root(problem, torch.tensor([0.5]), tol=1e-4, max_iter=60)
    assert bool(root.converged.all())
    assert root.iterations.item() <= 40
    assert abs(root.alpha.item() - 0.9) <= 1e-4


@pytest.mark.parametrize(("noise", "converged", "moved"), [(1e-3, True, False), (1e-7, True, True)])
def test_a_value_within_its_rounding_error_stays_where_it_is(noise: float, converged: bool, moved: bool) -> None:
    @dataclass(frozen=True)
    class Noisy(Awkward):
        def evaluate(self, alpha: Tensor) -> Evaluation:
            value, zero = 0.01 * (alpha - self.base[:, 0]), torch.zeros_like(alpha)
            return Evaluation(value, zero + 0.01, zero, zero + noise, zero, zero, zero)

    # Off by 0.05; an error of 1e-3 in the value is one of 0.1 in the root, and then 0.5 is as good as any.
    root = find_root(Noisy(torch.tensor([[0.55]]), torch.tensor([[1.0]])), torch.tensor([0.5]), tol=1e-2, max_iter=9)
    assert (root.converged.item(), root.moved.item()) == (converged, moved)
    assert root.alpha.item() == pytest.approx(0.55 if moved else 0.5)


def test_the_last_step_is_taken_and_not_evaluated() -> None:
    seen: list[float] = []

    @dataclass(frozen=True)
    class Straight(Awkward):
        def evaluate(self, alpha: Tensor) -> Evaluation:
            seen.extend(alpha.tolist())
            zero = torch.zeros_like(alpha)
            return Evaluation(alpha - self.base[:, 0], zero + 1, *[zero] * 5)

    root = find_root(Straight(torch.tensor([[0.53]]), torch.tensor([[1.0]])), torch.tensor([0.5]), tol=1e-3, max_iter=9)
    assert seen == [0.5]
    assert root.alpha.item() == pytest.approx(0.53, abs=1e-4)
    assert root.last.value.item() == pytest.approx(0.0, abs=1e-4)
    assert root.iterations.item() == 1


def test_steps_stay_inside_the_bracket() -> None:
    seen: list[float] = []

    @dataclass(frozen=True)
    class Overshooting(Awkward):
        def evaluate(self, alpha: Tensor) -> Evaluation:
            # A slope 100 times too small: every step leaps over the root and out of [0, 1].
            seen.extend(alpha.tolist())
            value = alpha - self.base[:, 0]
            return Evaluation(value, torch.full_like(value, 0.01), *[torch.zeros_like(value)] * 5)

    problem = Overshooting(torch.tensor([[0.9]]), torch.tensor([[1.0]]))
    root = find_root(problem, torch.tensor([0.5]), tol=1e-4, max_iter=60)
    assert bool(root.converged.all())
    assert 0 <= min(seen) <= max(seen) <= 1

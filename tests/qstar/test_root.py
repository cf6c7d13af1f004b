import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.qstar.root import Evaluation, RootProblem, find_root, two_point_step


def test_two_point_step_is_exact_for_two_atoms() -> None:
    atoms, weights = torch.tensor([-0.7, 2.5], dtype=torch.float64), torch.tensor([0.2, 0.8], dtype=torch.float64)

    def mean(step: float) -> Tensor:
        tilted = weights * (step * atoms).exp()
        return (tilted * atoms).sum() / tilted.sum()

    first = (weights * atoms).sum()
    second, third = ((weights * (atoms - first) ** power).sum() for power in (2, 3))
    assert abs(mean(two_point_step(first, second, third).item()).item()) < 1e-12
    mirrored = two_point_step(-first, second, -third)
    torch.testing.assert_close(mirrored, -two_point_step(first, second, third))


def test_two_point_step_without_a_root_is_newtons() -> None:
    # Atoms 1 and 3: the tilted mean never falls to 0.
    value, slope, curvature = (torch.tensor(x) for x in (2.0, 1.0, 0.0))
    assert two_point_step(value, slope, curvature) == -2.0


@dataclass(frozen=True)
class Awkward(RootProblem):
    """f(x) = sign(x − r)|x − r|^p with useless derivatives: only the bracket can find the root."""

    def evaluate(self, alpha: Tensor) -> Evaluation:
        offset = alpha - self.base[:, 0]
        value = offset.sign() * offset.abs() ** self.direction[:, 0]
        nan = torch.full_like(alpha, math.nan)
        return Evaluation(value, nan, nan, torch.zeros_like(alpha), nan, nan)


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
            return Evaluation(value, torch.full_like(value, 1000.0), *[torch.zeros_like(value)] * 4)

    problem = Creeping(torch.tensor([[0.9]]), torch.tensor([[1.0]]))
    root = find_root(problem, torch.tensor([0.5]), tol=1e-4, max_iter=60)
    assert bool(root.converged.all())
    assert root.iterations.item() <= 40


def test_steps_stay_inside_the_bracket() -> None:
    seen: list[float] = []

    @dataclass(frozen=True)
    class Overshooting(Awkward):
        def evaluate(self, alpha: Tensor) -> Evaluation:
            # A slope 100 times too small: every step leaps over the root and out of [0, 1].
            seen.extend(alpha.tolist())
            value = alpha - self.base[:, 0]
            return Evaluation(value, torch.full_like(value, 0.01), *[torch.zeros_like(value)] * 4)

    problem = Overshooting(torch.tensor([[0.9]]), torch.tensor([[1.0]]))
    root = find_root(problem, torch.tensor([0.5]), tol=1e-4, max_iter=60)
    assert bool(root.converged.all())
    assert 0 <= min(seen) <= max(seen) <= 1

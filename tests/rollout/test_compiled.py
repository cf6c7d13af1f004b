"""The compiled token against the plain one: ids, columns, and what is said where there is nothing to draw from."""

from dataclasses import dataclass, field

import pytest
import torch
from reference.compilers import held_after, leaving
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.models.compiling import Compiling, compiling, notice
from qstar_pl.qstar import (
    DisjointSupportError,
    EntropyAlpha,
    ESSBalanceAlpha,
    FixedAlpha,
    KLSymmetricAlpha,
    SNRAlpha,
)
from qstar_pl.qstar.alpha import AlphaStrategy
from qstar_pl.rollout import compiled
from qstar_pl.rollout.compiled import compiled_drawing
from qstar_pl.rollout.law import POLICY, TARGET, Alone, Geometric, Law
from qstar_pl.rollout.token import Drawn, drawing
from qstar_pl.rollout.truncation import Truncation

VOCAB = 300


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    notice.cache_clear()


def graphs_of(law: Law, truncation: Truncation = Truncation()) -> dict[object, bool]:
    """Rows of a law's graphs → whether it could be compiled."""
    return {key[3]: graph is not None for key, graph in compiled._GRAPHS.items() if key[:2] == (law, truncation)}


def pair(rows: int, seed: int = 0, spread: float = 1.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    policy = 2 * torch.randn(rows, VOCAB, generator=generator)
    return {POLICY: policy, TARGET: policy + spread * torch.randn(rows, VOCAB, generator=generator)}


def numbers(rows: int) -> Tensor:
    return torch.rand(rows, dtype=torch.float64, generator=torch.Generator().manual_seed(rows))


def draw_of(law: Law, truncation: Truncation = Truncation(), backend: str = "eager"):
    with compiling(Compiling(backend, 8)):
        draw = compiled_drawing(law, truncation)
    assert draw is not None
    return draw


def check(said: Drawn, expected: Drawn, tolerance: float = 1e-5) -> None:
    assert torch.equal(said.ids, expected.ids)
    assert list(said.columns) == list(expected.columns)
    for name, values in expected.columns.items():
        torch.testing.assert_close(said.columns[name], values, rtol=tolerance, atol=tolerance)


CUT = Truncation(0.7, 50, 0.9)
CASES = [
    (Geometric(KLSymmetricAlpha()), Truncation()),
    (Geometric(KLSymmetricAlpha(solver="bisection", max_iter=4, tol=0.1)), Truncation()),
    (Geometric(ESSBalanceAlpha()), CUT),
    pytest.param(Geometric(SNRAlpha()), Truncation(), marks=pytest.mark.slow),
    (Geometric(EntropyAlpha()), CUT),
    (Geometric(FixedAlpha(0.3)), CUT),
    (Alone(TARGET), Truncation(top_p=0.8)),
]


@pytest.mark.parametrize(("law", "truncation"), CASES, ids=[f"case{place}" for place in range(len(CASES))])
def test_every_law_is_one_graph_that_draws_the_same(law: Law, truncation: Truncation, capsys) -> None:
    draw, plain = draw_of(law, truncation), drawing(law, truncation)
    for seed in range(3):
        logits = {role: said for role, said in pair(5, seed).items() if role in law.roles}
        for said in logits.values():
            said[:, 7] = -torch.inf  # a token that neither has
        check(draw(logits, numbers(5)), plain(logits, numbers(5)))
    assert graphs_of(law, truncation) == {6: True}
    assert capsys.readouterr().err == ""


def test_rows_that_end_keep_their_graph_until_few_are_left() -> None:
    law = Geometric(FixedAlpha(0.6))
    draw, plain = draw_of(law), drawing(law, Truncation())
    for rows in (8, 7, 5, 3, 2, 1):
        logits = pair(rows, rows)
        check(draw(logits, numbers(rows)), plain(logits, numbers(rows)))
    assert graphs_of(law) == {8: True, 2: True}


def test_rows_that_a_graph_cannot_finish_are_drawn_plainly() -> None:
    """One more pass than graphs take, or no common token: the numbers, warnings and errors are the plain ones."""
    law = Geometric(KLSymmetricAlpha())
    draw, plain = draw_of(law), drawing(law, Truncation())
    draw(pair(5), numbers(5))
    hard = pair(5, spread=0.1)
    hard[POLICY][0, 3] = hard[TARGET][0, 4] = 100.0
    check(draw(hard, numbers(5)), plain(hard, numbers(5)), tolerance=0)
    apart = {role: said.clone() for role, said in pair(5).items()}
    apart[POLICY][1, :150] = apart[TARGET][1, 150:] = -torch.inf
    with pytest.raises(DisjointSupportError, match="disjoint supports in row 1"):
        draw(apart, numbers(5))
    spoiled = pair(5)
    spoiled[TARGET][0, 0] = torch.nan
    with pytest.raises(UserError, match="target_logprobs must be log-probabilities"):
        draw(spoiled, numbers(5))


def test_what_the_compiler_leaves_behind_holds_no_caller(monkeypatch) -> None:
    """Nor do those who called have to wait for a collection of everything, with the caches that they hold."""
    monkeypatch.setattr(torch, "compile", leaving)
    draw, logits = draw_of(Geometric(FixedAlpha(0.7))), pair(2)
    assert not held_after(lambda: draw(logits, numbers(2)))


def test_a_large_vocabulary_is_left_to_the_plain_function_on_a_cpu(monkeypatch) -> None:
    monkeypatch.setattr(compiled, "LARGEST", 2 * VOCAB)
    for rows in (3, 2):
        draw_of(Alone(POLICY))({POLICY: pair(rows)[POLICY]}, numbers(rows))
    assert graphs_of(Alone(POLICY)) == {2: True}


@dataclass(frozen=True)
class Looking(AlphaStrategy):
    """Asks a tensor for its value."""

    def __call__(self, policy_logprobs: Tensor, target_logprobs: Tensor, *, normalised: bool = False) -> Tensor:
        return torch.full(policy_logprobs.shape[:-1], 0.25 if float(policy_logprobs.max()) < 0 else 0.75)


@dataclass(frozen=True)
class Unhashable(Alone):
    options: dict[str, int] = field(default_factory=dict)


@pytest.mark.parametrize("law", [Geometric(Looking()), Unhashable(POLICY)], ids=["asks", "unhashable"])
def test_a_law_that_cannot_be_compiled_is_drawn_from_plainly_with_one_notice(law: Law, capsys) -> None:
    plain = drawing(law, Truncation())
    for seed in range(3):
        with compiling(Compiling("eager", 8)):
            draw = compiled_drawing(law, Truncation()) or plain
        logits = {role: said for role, said in pair(2, seed).items() if role in law.roles}
        check(draw(logits, numbers(2)), plain(logits, numbers(2)), tolerance=0)
    said = capsys.readouterr().err
    assert said.count("notice: ") == 1
    assert f"notice: {type(law).__name__} is not compiled, and drawn from as without torch_compile" in said


def test_nothing_is_compiled_unless_it_is_asked_for() -> None:
    assert compiled_drawing(Alone(POLICY), Truncation()) is None

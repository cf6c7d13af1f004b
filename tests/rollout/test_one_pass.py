"""The graph of three passes, as the function that it compiles, against the plain token."""

from dataclasses import replace

import pytest
import torch
from reference.compilers import held_after, leaving
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.models.compiling import notice
from qstar_pl.qstar import DisjointSupportError, FixedAlpha, KLSymmetricAlpha
from qstar_pl.qstar.deferred import Deferred
from qstar_pl.rollout import one_pass as module
from qstar_pl.rollout.compiled import compiled_drawing
from qstar_pl.rollout.law import POLICY, TARGET, Alone, Geometric
from qstar_pl.rollout.one_pass import MOST_VAIN, more_passes, one_pass, one_pass_drawing
from qstar_pl.rollout.token import Drawn, drawing
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.rollout.truncation import Truncation

QSTAR = Geometric(KLSymmetricAlpha())


@pytest.fixture(autouse=True)
def not_compiled(request, monkeypatch) -> None:
    """Let the functions stand for their graphs, which take a minute to make; one slow test makes them."""
    notice.cache_clear()
    module._graph.cache_clear()
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr(torch, "compile", lambda function, **_: function)


def pair(rows: int, vocab: int = 300, spread: float = 1.0, scale: float = 2.0, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    policy = scale * torch.randn(rows, vocab, generator=generator)
    return {POLICY: policy, TARGET: policy + spread * torch.randn(rows, vocab, generator=generator)}


def numbers(rows: int) -> Tensor:
    return torch.rand(rows, dtype=torch.float64, generator=torch.Generator().manual_seed(rows))


def check(said: Drawn, expected: Drawn, *, but: tuple[str, ...] = (), tolerance: float = 1e-5) -> None:
    assert torch.equal(said.ids, expected.ids)
    for name, values in expected.columns.items():
        if name not in but:
            near = 10 * tolerance if name == "alpha" else tolerance  # it hardly matters where the models agree
            torch.testing.assert_close(said.columns[name], values, rtol=tolerance, atol=near)


def said_of(function, logits: dict[str, Tensor], uniforms: Tensor) -> tuple[Drawn, Tensor]:
    said = function(logits[POLICY], logits[TARGET], uniforms, 1e-3)
    return Drawn(said.ids, dict(zip(COLUMNS, said.columns, strict=True))), said.done


def one_pass_of(logits: dict[str, Tensor], uniforms: Tensor) -> tuple[Drawn, Tensor]:
    return said_of(one_pass, logits, uniforms)


@pytest.mark.parametrize("vocab", [2, 100, 512, 8193])
def test_agrees_with_the_plain_token_at_any_vocabulary(vocab: int) -> None:
    logits, uniforms = pair(6, vocab), numbers(6)
    said, done = one_pass_of(logits, uniforms)
    assert done.all()
    check(said, drawing(QSTAR, Truncation())(logits, uniforms))


def test_columns_are_those_of_float64() -> None:
    logits, uniforms = pair(64, 5000, scale=4.0), numbers(64)
    said, done = one_pass_of(logits, uniforms)
    tight = Geometric(KLSymmetricAlpha(tol=1e-9))
    exact = drawing(tight, Truncation())({role: x.double() for role, x in logits.items()}, uniforms)
    assert done.float().mean() > 0.9
    for name in ("log_z", "kl_behavior_policy", "kl_behavior_target", "policy_logprobs", "target_logprobs"):
        error = (said.columns[name] - exact.columns[name])[done].abs().max()
        assert error < 2e-3, name  # α to tol
    assert (said.columns["alpha"] - exact.columns["alpha"])[done].abs().max() < 2e-3
    # At the α that it chose, the mixture is exact.
    policy, target = (logits[role].double().log_softmax(-1) for role in (POLICY, TARGET))
    alpha = said.columns["alpha"].double().unsqueeze(-1)
    mixture = alpha * policy + (1 - alpha) * target
    log_z = mixture.logsumexp(-1)
    mixture = mixture - log_z.unsqueeze(-1)
    drawn = mixture.gather(-1, said.ids.unsqueeze(-1)).squeeze(-1)
    assert (said.columns["log_z"] - log_z)[done].abs().max() < 2e-6
    assert (said.columns["behavior_logprobs"] - drawn)[done].abs().max() < 1e-5
    for role, own in ((POLICY, policy), (TARGET, target)):
        kl = (mixture.exp() * (mixture - own)).sum(-1)
        ess = 1 / (2 * own - mixture).exp().sum(-1)
        assert (said.columns[f"kl_behavior_{role}"] - kl)[done].abs().max() < 1e-5
        assert (said.columns[f"ess_{role}"] / ess - 1)[done].abs().max() < 1e-5


def test_what_the_compiler_leaves_behind_holds_no_caller(monkeypatch) -> None:
    monkeypatch.setattr(torch, "compile", leaving)
    graph = module._Graph(one_pass, "inductor")
    logits, uniforms = pair(2), numbers(2)
    given = (logits[POLICY], logits[TARGET], uniforms, 1e-3, lambda: drawing(QSTAR, Truncation())(logits, uniforms))
    assert not held_after(lambda: graph(*given))
    assert graph._call is not None


@pytest.mark.parametrize("certainty", [8.0, 16.0])
def test_nearly_certain_models_take_no_search_for_what_was_rounded(certainty: float) -> None:
    """Both models have the same mode, of probability up to 1 − 1e-5: α* is that of float64."""
    generator = torch.Generator().manual_seed(1)
    logits = {role: torch.randn(16, 1000, generator=generator) for role in (POLICY, TARGET)}
    for said in logits.values():
        said[:, 3] = certainty + torch.rand(16, generator=generator)
    said, done = one_pass_of(logits, numbers(16))
    exact = drawing(Geometric(KLSymmetricAlpha(tol=1e-9)), Truncation())(
        {role: x.double() for role, x in logits.items()}, numbers(16)
    )
    assert done.all()
    assert (said.columns["alpha"] - exact.columns["alpha"]).abs().max() < 5e-3


def test_equal_laws_and_equal_modes() -> None:
    logits = pair(4)
    logits[TARGET] = logits[POLICY].clone()
    logits[POLICY][1] = logits[TARGET][1] = 0.0
    said, done = one_pass_of(logits, numbers(4))
    assert done.all()
    assert said.columns["log_z"].abs().max() < 2e-6
    check(said, drawing(QSTAR, Truncation())(logits, numbers(4)), but=("alpha",))


def test_what_takes_more_passes_is_drawn_with_more_passes() -> None:
    logits, uniforms = pair(64, scale=4.0, spread=4.0), numbers(64)
    done = one_pass_of(logits, uniforms)[1]
    assert 0 < done.float().mean() < 0.9
    said, more = said_of(more_passes, logits, uniforms)
    assert more.all()
    exact = drawing(Geometric(KLSymmetricAlpha(tol=1e-9)), Truncation())(
        {role: x.double() for role, x in logits.items()}, uniforms
    )
    assert (said.columns["alpha"] - exact.columns["alpha"]).abs().max() < 2e-3
    draw = one_pass_drawing(QSTAR, Truncation(), "eager")
    check(draw(logits, uniforms), drawing(QSTAR, Truncation())(logits, uniforms), tolerance=2e-4)
    assert draw._left == 0


def test_rows_that_no_graph_finishes_are_drawn_plainly() -> None:
    """Other supports: the numbers are the plain ones, and other rows keep the graph's."""
    draw, plain = one_pass_drawing(QSTAR, Truncation(), "eager"), drawing(QSTAR, Truncation())
    logits = pair(5)
    logits[POLICY][2, :50] = -torch.inf
    assert one_pass_of(logits, numbers(5))[1].tolist() == [True, True, False, True, True]
    said = draw(logits, numbers(5))
    check(said, plain(logits, numbers(5)))
    assert draw._left == 1
    hard = {role: x[2:3] for role, x in logits.items()}
    check(Drawn(said.ids[2:3], {n: c[2:3] for n, c in said.columns.items()}), plain(hard, numbers(5)[2:3]), tolerance=0)


def test_what_has_no_law_is_refused_with_the_numbers_of_its_rows() -> None:
    draw = one_pass_drawing(QSTAR, Truncation(), "eager")
    draw(pair(5), numbers(5))
    apart = pair(5)
    apart[POLICY][3, :150] = apart[TARGET][3, 150:] = -torch.inf
    with pytest.raises(DisjointSupportError, match="disjoint supports in row 3"):
        draw(apart, numbers(5))
    spoiled = pair(5)
    spoiled[TARGET][4, 0] = torch.nan
    with pytest.raises(UserError, match=r"target_logprobs must be log-probabilities.* in row 4"):
        draw(spoiled, numbers(5))


def test_a_graph_that_finishes_nothing_is_left_after_a_few_tokens(monkeypatch) -> None:
    draw = one_pass_drawing(QSTAR, Truncation(), "eager")
    tries = []
    inner = draw._drawn
    monkeypatch.setattr(draw, "_drawn", lambda graphs, *given: (tries.append(len(graphs)), inner(graphs, *given))[1])
    logits = pair(3)
    logits[POLICY][:, 0] = -torch.inf
    for _ in range(MOST_VAIN + 5):
        check(draw(logits, numbers(3)), drawing(QSTAR, Truncation())(logits, numbers(3)), tolerance=0)
    assert tries.count(2) == MOST_VAIN


def test_one_row_no_row_half_precision_and_noted_checks() -> None:
    draw, plain = one_pass_drawing(QSTAR, Truncation(), "eager"), drawing(QSTAR, Truncation())
    for rows in (1, 2, 7):
        check(draw(pair(rows), numbers(rows)), plain(pair(rows), numbers(rows)))
    none = {role: x[:0] for role, x in pair(2).items()}
    assert draw(none, numbers(2)[:0]).ids.shape == (0,)
    half = {role: x.bfloat16() for role, x in pair(3).items()}
    check(draw(half, numbers(3)), plain(half, numbers(3)), tolerance=0)
    with Deferred().token(0, torch.arange(3), torch.ones(3, dtype=torch.bool)):
        noted, expected = draw(pair(3), numbers(3)), plain(pair(3), numbers(3))
    check(noted, expected, tolerance=0)


def test_who_gets_it() -> None:
    compiled = KLSymmetricAlpha(solver="compiled")
    assert compiled_drawing(Geometric(compiled), Truncation()) is not None
    assert compiled_drawing(QSTAR, Truncation()) is None
    assert compiled_drawing(Geometric(compiled), Truncation(temperature=0.5)) is None
    for law in (Alone(POLICY), Geometric(FixedAlpha(0.3)), Geometric(replace(compiled, solver="bisection"))):
        assert one_pass_drawing(law, Truncation()) is None


def test_without_a_compiler_tokens_are_plain_and_it_is_said_once(capsys) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no compiler\nadvice")

    draw, plain = one_pass_drawing(QSTAR, Truncation(), "eager"), drawing(QSTAR, Truncation())
    for graph in draw._graphs:
        graph._call = broken
    for seed in range(2):
        check(draw(pair(3, seed=seed), numbers(3)), plain(pair(3, seed=seed), numbers(3)), tolerance=0)
    said = capsys.readouterr().err
    assert said.count("notice: ") == 1
    assert "q* is not drawn by one compiled graph, but operation by operation: no compiler" in said


def test_a_graph_that_says_something_else_is_not_used(capsys) -> None:
    draw, plain = one_pass_drawing(QSTAR, Truncation(), "eager"), drawing(QSTAR, Truncation())
    draw._graphs[0]._call = lambda *given: one_pass(*given)._replace(columns=torch.zeros(len(COLUMNS), 3))
    check(draw(pair(3), numbers(3)), plain(pair(3), numbers(3)))
    assert draw._graphs[0]._call is None
    assert "it says something else" in capsys.readouterr().err


@pytest.mark.slow
def test_compiled_it_is_the_same_for_any_number_of_rows() -> None:
    draw, plain = one_pass_drawing(QSTAR, Truncation()), drawing(QSTAR, Truncation())
    for rows in (8, 5, 2, 1):
        check(draw(pair(rows, 1000), numbers(rows)), plain(pair(rows, 1000), numbers(rows)))
    assert draw._graphs[0]._call is not None

from dataclasses import dataclass

import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch
from torch import Tensor

from qstar_pl.qstar import DisjointSupportError, EntropyAlpha, FixedAlpha, KLSymmetricAlpha
from qstar_pl.rollout import Alone, Geometric, Law, Truncation, engine
from qstar_pl.rollout.fused import drawing
from qstar_pl.rollout.fused.draw import Launched
from qstar_pl.rollout.fused.drawing import FusedLaw, fused_drawing, fused_law, runs
from qstar_pl.rollout.law import POLICY, TARGET
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.samplers import GeometricSampler

PLAIN = FusedLaw(None, KLSymmetricAlpha(), 1.0)


@dataclass(frozen=True)
class Mine(KLSymmetricAlpha):
    """May solve for something else."""


@pytest.mark.parametrize(
    ("law", "truncation", "taken"),
    [
        (Geometric(KLSymmetricAlpha()), Truncation(), PLAIN),
        (Geometric(KLSymmetricAlpha(tol=1e-5)), Truncation(0.7), FusedLaw(None, KLSymmetricAlpha(tol=1e-5), 0.7)),
        (Geometric(FixedAlpha(0.3)), Truncation(top_p=1.0), FusedLaw(0.3, KLSymmetricAlpha(), 1.0)),
        (Geometric(KLSymmetricAlpha()), Truncation(top_k=5), None),
        (Geometric(KLSymmetricAlpha()), Truncation(top_p=0.9), None),
        (Geometric(KLSymmetricAlpha(solver="bisection")), Truncation(), None),
        (Geometric(EntropyAlpha()), Truncation(), None),
        (Geometric(Mine()), Truncation(), None),
        (Alone(POLICY), Truncation(), None),
    ],
)
def test_laws_that_the_kernel_takes(law: Law, truncation: Truncation, taken: FusedLaw | None) -> None:
    assert fused_law(law, truncation) == taken


def test_a_cpu_draws_operation_by_operation(capsys: pytest.CaptureFixture[str]) -> None:
    logits = torch.zeros(2, 5)
    assert fused_drawing(Geometric(KLSymmetricAlpha()), Truncation(), {POLICY: logits, TARGET: logits}) is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fault", ["raises", "draws another token"])
def test_what_cannot_run_is_said_once(
    fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def launch(*logits: Tensor, **options: object) -> Launched:
        if fault == "raises":
            raise ModuleNotFoundError("No module named 'triton'\nand more")
        return answer(torch.zeros(1))

    runs.cache_clear()
    monkeypatch.setattr(drawing, "draw", launch)
    for _ in range(2):
        assert not runs(PLAIN, torch.device("cpu"), torch.float32, torch.float32, 6)
    said = "ModuleNotFoundError: No module named 'triton'" if fault == "raises" else "it draws token 0 for 3"
    notice = f"notice: the fused kernel is not used ({said}); tokens are drawn operation by operation\n"
    assert capsys.readouterr().err == notice
    runs.cache_clear()


def answer(token: Tensor, status: int = 0, converged: int = 1) -> Launched:
    rows = len(token)
    facts = [torch.full((rows,), fact, dtype=torch.int32) for fact in (status, 1, converged)]
    return Launched(token.long(), torch.zeros(len(COLUMNS), rows), *facts)


LOGITS = {POLICY: torch.zeros(2, 4), TARGET: torch.zeros(2, 4)}


def test_rows_without_a_common_token_and_rows_that_did_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "draw", lambda *_, **__: answer(torch.ones(2), status=3))
    with pytest.raises(DisjointSupportError, match="row 0, 1"):
        PLAIN(LOGITS, torch.zeros(2))
    assert FusedLaw(None, KLSymmetricAlpha(on_disjoint="policy"), 1.0)(LOGITS, torch.zeros(2)).ids.tolist() == [1, 1]
    monkeypatch.setattr(drawing, "draw", lambda *_, **__: answer(torch.ones(2), converged=0))
    with pytest.warns(RuntimeWarning, match="2 of 2 contexts are not within"):
        PLAIN(LOGITS, torch.zeros(2))


@pytest.mark.parametrize("fused", [True, False])
def test_the_sampler_can_turn_it_off(fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Law] = []
    monkeypatch.setattr(engine, "fused_drawing", lambda law, *_: asked.append(law))
    model = TableModel(torch.zeros(5, 5), eos=(1,))
    sampler = GeometricSampler(fused=fused, max_new_tokens=2)
    sampler.draw(prompt_batch([[3]]), model, model, samples=1, seed=0)
    assert asked == ([sampler.law] if fused else [])

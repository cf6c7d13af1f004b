"""The kernel by Triton's interpreter, and on a GPU where there is one, against float64.

Also that the compiler takes it for CUDA, which needs no GPU.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import enumeration as exact
from torch import Tensor

from qstar_pl.qstar import AlphaStatus, bisect_kl_symmetry, geometric_mixture
from qstar_pl.rollout.divergence import divergence
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.rollout.truncation import Truncation

pytest.importorskip("triton", reason="the kernel is Triton's")
sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))
from pairs import language_model_logits, pair_families

HERE = Path(__file__).parent
INF = torch.inf
FAMILIES = list(pair_families(1, 100))
DRAWS, THRESHOLD = 60, 1e-4
"""Of the G-test, and the p-value that the law must exceed and another law must not reach."""

Case = dict[str, Any]


def numbers(rows: int, seed: int = 0) -> Tensor:
    return torch.rand(rows, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(policy: Tensor, target: Tensor, **options: Any) -> Case:
    uniforms = numbers(len(policy), seed=policy.shape[-1])
    return {"policy_logits": policy, "target_logits": target, "uniforms": uniforms, **options}


def pairs(vocab: int, *names: str) -> tuple[Tensor, Tensor]:
    """Return one row per family, as logits: log-probabilities up to a constant that differs by model."""
    families = pair_families(1, vocab)
    policy, target = (torch.cat([families[name][model] for name in names]).float() for model in (0, 1))
    return policy + 3, target - 1


def language_pair(rows: int, vocab: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(vocab)
    policy = language_model_logits(rows, vocab, generator)
    return policy.float(), (policy + torch.randn(rows, vocab, generator=generator)).float()


def restricted() -> tuple[Tensor, Tensor]:
    """Rows whose supports differ: two without a root (α = 0, α = 1), one with, one with a single common token."""
    policy = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.1, 0.1, 0.8, 0.0], [0.5, 0.2, 0.3, 0.0], [0.0, 0.0, 0.0, 1.0]])
    target = torch.tensor([[0.1, 0.1, 0.8, 0.0], [0.5, 0.5, 0.0, 0.0], [0.2, 0.6, 0.0, 0.2], [0.0, 0.6, 0.0, 0.4]])
    return policy.log(), target.log()


def cases() -> dict[str, Case]:
    small = language_pair(3, 100)
    long, wide = language_pair(1, 151936), language_pair(2, 8193)
    for logits in long:
        logits[:, -267:] = -INF  # as of a padded vocabulary
    third = language_pair(1, 8193)
    disjoint = (torch.tensor([[0.0, 1.0, -INF]]), torch.tensor([[-INF, -INF, 2.0]]))
    broken = torch.zeros(4, 5)
    broken[0, 3], broken[1, 3], broken[2] = torch.nan, INF, -INF
    one_law = (torch.tensor([[3.0, 1.0, 0.0, -1.0]]), torch.tensor([[-1.0, 0.0, 1.0, 3.0]]))
    return {
        "families": case(*pairs(100, *FAMILIES), block=64),
        "8193": case(*pairs(8193, "lm_1.0", "temp_0.5", "mask_own_50", "onehot_diff_30")),
        "50257": case(*pairs(50257, "lm_0.7", "sharp_vs_flat")),
        "151936": case(*long),
        "identical": case(small[0], small[0] + 2.5),
        "bfloat16": case(wide[0].bfloat16(), wide[1].bfloat16()),
        "view": case(torch.cat(third, 0).repeat(1, 2)[:1, :8193], third[1]),
        "cold": case(*small, temperature=0.6),
        "hot": case(*pairs(100, *FAMILIES[::4]), temperature=1.7),
        "policy": case(*restricted(), alpha=1.0),
        "target": case(*restricted(), alpha=0.0),
        "fixed": case(*small, alpha=0.3),
        "restricted": case(*restricted()),
        "one pass": case(*pairs(100, "temp_0.5"), max_iter=1, tol=1e-6),
        "disjoint": case(*disjoint, fallback=1.0),
        "fixed disjoint": case(*disjoint, alpha=0.5),
        "broken": case(broken, broken.nan_to_num(0, 0, 0)),
        "many": {
            "policy_logits": one_law[0].expand(DRAWS, -1),
            "target_logits": one_law[1].expand(DRAWS, -1),
            "uniforms": numbers(DRAWS),
        },
    }


CASES = cases()


NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=NEEDS_GPU)])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("launched")
    torch.save(CASES, folder / "cases.pt")
    words = [sys.executable, str(HERE / "launched.py"), str(folder / "cases.pt"), str(folder / "results.pt")]
    subprocess.run([*words, request.param], check=True)
    return torch.load(folder / "results.pt")


def of(result: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(zip(COLUMNS, result["columns"].double(), strict=True))


def exact_laws(given: Case) -> tuple[Tensor, Tensor]:
    policy, target = (given[f"{role}_logits"].double().log_softmax(-1) for role in ("policy", "target"))
    return policy, target


SOUND = [name for name in CASES if name not in ("broken", "disjoint", "fixed disjoint", "many")]


@pytest.mark.parametrize("name", SOUND)
def test_columns_are_those_of_the_law_at_the_alpha_that_is_written(name: str, results: dict[str, Any]) -> None:
    given, got = CASES[name], of(results[name])
    token = results[name]["token"].unsqueeze(-1)
    policy, target = exact_laws(given)
    mixture = geometric_mixture(policy, target, got["alpha"])
    law = Truncation(given.get("temperature", 1.0))(mixture.logprobs)
    policy_side, target_side = (divergence(model, law, law.exp()) for model in (policy, target))
    expected = {
        "behavior_logprobs": law.gather(-1, token).squeeze(-1),
        "policy_logprobs": policy.gather(-1, token).squeeze(-1),
        "target_logprobs": target.gather(-1, token).squeeze(-1),
        "log_z": mixture.log_z,
        "ess_policy": policy_side.ess,
        "ess_target": target_side.ess,
        "kl_behavior_policy": policy_side.kl,
        "kl_behavior_target": target_side.kl,
        "uncovered_mass": policy_side.uncovered,
    }
    for column, values in expected.items():
        # Log-probabilities of 100 nats are rounded by 4e-6 each.
        torch.testing.assert_close(got[column], values, rtol=2e-6, atol=2e-6, msg=lambda m, c=column: f"{c}: {m}")


@pytest.mark.parametrize("name", SOUND)
def test_tokens_are_those_of_a_float64_search(name: str, results: dict[str, Any]) -> None:
    given, got = CASES[name], results[name]
    mixture = geometric_mixture(*exact_laws(given), of(got)["alpha"])
    probs = Truncation(given.get("temperature", 1.0))(mixture.logprobs).exp()
    cumulative = probs.cumsum(-1)
    point = given["uniforms"].unsqueeze(-1) * cumulative[:, -1:]
    expected = torch.searchsorted(cumulative, point, right=True).squeeze(-1)
    at_an_edge = (cumulative - point).abs().amin(-1) < 1e-6
    assert bool(((got["token"] == expected) | at_an_edge).all())
    assert int(at_an_edge.sum()) <= 1
    assert bool((probs.gather(-1, got["token"].unsqueeze(-1)) > 0).all())


@pytest.mark.parametrize("name", ["families", "8193", "50257", "151936", "bfloat16", "view", "restricted", "hot"])
def test_alpha_is_the_root(name: str, results: dict[str, Any]) -> None:
    got = results[name]
    solution = bisect_kl_symmetry(*exact_laws(CASES[name]), max_iter=50)
    solved = (got["status"] != AlphaStatus.IDENTICAL) & (solution.status != AlphaStatus.IDENTICAL)
    assert bool(got["converged"].all())
    assert (of(got)["alpha"] - solution.alpha).abs()[solved].max() < 1e-3
    assert torch.equal(got["status"][solved].long(), solution.status[solved])
    assert got["passes"].max() <= 3


def test_status(results: dict[str, Any]) -> None:
    assert results["restricted"]["status"].tolist() == [
        AlphaStatus.BOUNDARY, AlphaStatus.BOUNDARY, AlphaStatus.OK, AlphaStatus.BOUNDARY,
    ]  # fmt: skip
    assert of(results["restricted"])["alpha"][:2].tolist() == [0.0, 1.0]
    assert set(results["identical"]["status"].tolist()) == {AlphaStatus.IDENTICAL}
    assert of(results["identical"])["alpha"].tolist() == [0.5] * 3
    assert results["one pass"]["converged"].tolist() == [0]
    for name, alpha in (("disjoint", 1.0), ("fixed disjoint", 0.5)):
        assert results[name]["status"].tolist() == [AlphaStatus.DISJOINT]
        assert of(results[name])["alpha"].tolist() == [alpha]
    assert int(results["disjoint"]["token"]) in (0, 1)  # the policy's


def test_logits_that_are_no_numbers_make_log_q_nan(results: dict[str, Any]) -> None:
    assert of(results["broken"])["behavior_logprobs"].isnan().tolist() == [True, True, True, False]
    assert bool((results["broken"]["token"] < 5).all())


def test_many_draws_follow_the_law_and_no_other(results: dict[str, Any]) -> None:
    policy, target = (law[0] for law in exact_laws(CASES["many"]))
    counts = Counter((int(token),) for token in results["many"]["token"])

    def p_value(alpha: float) -> float:
        law = geometric_mixture(policy, target, alpha).logprobs.exp()
        return exact.g_test(counts, {(token,): float(prob) for token, prob in enumerate(law)})

    alpha = float(of(results["many"])["alpha"][0])
    assert p_value(alpha) > THRESHOLD
    assert p_value(1.0) < THRESHOLD
    assert p_value(0.0) < THRESHOLD


def test_decoding_with_it_is_decoding(results: dict[str, Any]) -> None:
    for fused, eager in zip(results["decoded"], results["decoded eagerly"], strict=True):
        for name, values in eager.items():
            # α* itself is known to the tolerance only; here both ways take the same steps.
            torch.testing.assert_close(fused[name], values, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


COMPILE = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from qstar_pl.rollout.fused.kernel import draw_kernel
types = dict(
    policy="*bf16", target="*fp32", policy_stride="i32", target_stride="i32", uniforms="*fp64", tokens="*i64",
    columns_out="*fp32", facts_out="*i32", rows="i32", vocab="i32", given_alpha="fp32", tol="fp32", max_iter="i32",
    fallback="fp32", temperature="fp32",
)
fixed = dict(SOLVE=True, TEMPERED=True, BLOCK=256, BLOCKS=4)
names = draw_kernel.arg_names
source = ASTSource(
    draw_kernel, {name: types.get(name, "constexpr") for name in names},
    {(names.index(name),): value for name, value in fixed.items()},
)
print(len(compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 1}).asm["cubin"]))
"""


def test_the_compiler_takes_it(tmp_path: Path) -> None:
    """Down to machine code: the interpreter also runs what has no types that a compiler could give it."""
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, env=environment, check=True)
    assert int(done.stdout) > 1000

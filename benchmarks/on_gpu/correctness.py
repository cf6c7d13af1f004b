"""The fused kernel on the device, against float64 on the CPU: α, log q, the columns, and the law of its draws."""

from __future__ import annotations

import torch
from pairs import language_model_logits, pair_families
from torch import Tensor

from on_gpu.context import Context
from on_gpu.models import gpt2, prompts
from qstar_pl.models import LanguageModel
from qstar_pl.qstar import AlphaStatus, bisect_kl_symmetry, geometric_mixture
from qstar_pl.rollout.divergence import divergence
from qstar_pl.rollout.fused.draw import Launched, draw
from qstar_pl.rollout.fused.drawing import fused_drawing
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.samplers import GeometricSampler

INF = torch.inf
LEAST_KL = 1e-5
"""Nats; of laws that are closer, any α makes the same mixture."""


def run(context: Context) -> None:
    """Compare laws, draws and rollouts."""
    for vocab in (100, 600) if context.tiny else (100, 8193, 50257, 151936):
        for dtype in (torch.float32, torch.bfloat16):
            _laws(context, vocab, dtype)
    for vocab, draws in ((100, 200), (600, 100)) if context.tiny else ((100, 400_000), (50257, 100_000)):
        _draws(context, vocab, draws)
    _strange(context)
    if context.device == "cuda":
        _rollouts(context)


def rows(vocab: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Return name → logits [1, vocab] of both models, float64: families, and what a vocabulary may hold besides."""
    found = {name: (policy + 3, target - 1) for name, (policy, target) in pair_families(1, vocab, seed=vocab).items()}
    generator = torch.Generator().manual_seed(vocab)
    logits = language_model_logits(1, vocab, generator)
    other = logits + torch.randn(logits.shape, generator=generator, dtype=torch.float64)
    found["identical"] = (logits, logits + 2.5)
    padded = [x.clone() for x in (logits, other)]
    for x in padded:
        x[:, -vocab // 10 :] = -INF  # as of a padded vocabulary
    found["padded"] = (padded[0], padded[1])
    one = torch.full((1, vocab), -INF, dtype=torch.float64)
    one[0, vocab // 2] = 0.0
    found["one token, both"] = (one, one.clone())
    found["one token, policy"] = (one, other)
    sure = [x.clone() for x in (logits, other)]
    for x in sure:
        x[:, 11] = x.logsumexp(-1) + 12
    found["nearly certain"] = (sure[0], sure[1])
    return found


def _laws(context: Context, vocab: int, dtype: torch.dtype) -> None:
    pairs = rows(vocab)
    names = list(pairs)
    policy, target = (torch.cat([pair[model] for pair in pairs.values()]).to(dtype) for model in (0, 1))
    uniforms = torch.rand(len(names), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    said = draw(*(x.to(context.device) for x in (policy, target, uniforms)))
    got = dict(zip(COLUMNS, said.columns.cpu().double(), strict=True))
    token, status = said.token.cpu(), said.status.cpu()
    exact = [x.double().log_softmax(-1) for x in (policy, target)]
    solution = bisect_kl_symmetry(*exact, max_iter=50)
    apart = (-solution.log_z > LEAST_KL) & (status != AlphaStatus.IDENTICAL)
    off = (got["alpha"] - solution.alpha).abs().masked_fill(~apart, 0.0)
    # At the α that was written, everything else must be right to rounding.
    mixture = geometric_mixture(exact[0], exact[1], got["alpha"])
    law = mixture.logprobs
    sides = [divergence(model, law, law.exp()) for model in exact]
    index = token.unsqueeze(-1)
    expected = {
        "behavior_logprobs": law.gather(-1, index).squeeze(-1),
        "policy_logprobs": exact[0].gather(-1, index).squeeze(-1),
        "target_logprobs": exact[1].gather(-1, index).squeeze(-1),
        "log_z": mixture.log_z,
        "kl_behavior_policy": sides[0].kl,
        "kl_behavior_target": sides[1].kl,
        "ess_policy": sides[0].ess,
        "ess_target": sides[1].ess,
    }
    errors = {
        name: float(((got[name] - values).abs() / values.abs().clamp_min(1.0)).max())
        for name, values in expected.items()
    }
    cumulated = law.exp().cumsum(-1)
    point = uniforms.unsqueeze(-1) * cumulated[:, -1:]
    sought = torch.searchsorted(cumulated, point, right=True).squeeze(-1).clamp_max(vocab - 1)
    edge = (cumulated - point).abs().amin(-1) < 1e-5
    gap = torch.where(solution.status == AlphaStatus.OK, (sides[0].kl - sides[1].kl).abs(), 0.0)
    worst = int(off.argmax())
    context.record(
        f"V={vocab} {str(dtype).removeprefix('torch.')}",
        rows=len(names),
        max_alpha_error=float(off[worst]),
        worst=names[worst],
        max_logq_error=float((got["behavior_logprobs"] - expected["behavior_logprobs"]).abs().max()),
        max_column_error=max(errors.values()),
        worst_column=max(errors, key=lambda name: errors[name]),
        max_kl_gap=float(gap.max()),
        wrong_tokens=[names[i] for i in ((token != sought) & ~edge).nonzero().flatten().tolist()],
        wrong_status=[names[i] for i in (apart & (status != solution.status)).nonzero().flatten().tolist()],
        most_passes=int(said.passes.max()),
        all_converged=bool(said.converged.all()),
    )


def _draws(context: Context, vocab: int, count: int) -> None:
    """G-test of many draws from one law, and from another one, which must be refused."""
    from scipy.stats import chi2

    generator = torch.Generator().manual_seed(5)
    policy = language_model_logits(1, vocab, generator).float()
    target = (policy + 1.5 * torch.randn(policy.shape, generator=generator)).float()
    uniforms = torch.rand(count, generator=generator, dtype=torch.float64).to(context.device)
    wide = [x.to(context.device).expand(count, -1) for x in (policy, target)]
    said: Launched = draw(wide[0], wide[1], uniforms)
    observed = torch.bincount(said.token.cpu(), minlength=vocab).double()
    exact = [x.double().log_softmax(-1) for x in (policy, target)]
    alpha = float(said.columns[COLUMNS.index("alpha"), 0])

    def p_value(at: float) -> float:
        expected = count * geometric_mixture(exact[0], exact[1], torch.tensor([at]).double()).logprobs[0].exp()
        often = expected >= 5
        o = torch.cat([observed[often], observed[~often].sum().unsqueeze(0)])
        e = torch.cat([expected[often], expected[~often].sum().unsqueeze(0)])
        kept = o > 0
        statistic = 2 * float((o[kept] * (o[kept] / e[kept]).log()).sum())
        return float(chi2.sf(statistic, len(e) - 1))

    context.record(
        f"G-test, {count} draws, V={vocab}", p=p_value(alpha), p_at_alpha_plus_01=p_value(alpha + 0.1), alpha=alpha
    )


def _strange(context: Context) -> None:
    """Temperatures, a fixed α, laws without a common token, and logits that are no numbers."""
    generator = torch.Generator().manual_seed(9)
    policy = language_model_logits(3, 300, generator).float()
    target = (policy + torch.randn(policy.shape, generator=generator)).float()
    uniforms = torch.rand(3, generator=generator, dtype=torch.float64)
    exact = [x.double().log_softmax(-1) for x in (policy, target)]
    given = [x.to(context.device) for x in (policy, target, uniforms)]
    for temperature, alpha in ((0.6, None), (1.7, 0.3), (1.0, 0.0), (1.0, 1.0)):
        said = draw(*given, alpha=alpha, temperature=temperature)
        at = said.columns[COLUMNS.index("alpha")].cpu().double()
        law = Truncation(temperature)(geometric_mixture(exact[0], exact[1], at).logprobs)
        expected = law.gather(-1, said.token.cpu().unsqueeze(-1)).squeeze(-1)
        got = said.columns[COLUMNS.index("behavior_logprobs")].cpu().double()
        context.record(f"temperature {temperature}, α {alpha}", max_logq_error=float((got - expected).abs().max()))
    broken = policy.clone()
    broken[0, 3], broken[1, 3], broken[2] = torch.nan, INF, -INF
    said = draw(broken.to(context.device), given[1], given[2])
    context.record("no numbers", logq=said.columns[COLUMNS.index("behavior_logprobs")].cpu())
    apart = torch.tensor([[0.0, 1.0, -INF]]), torch.tensor([[-INF, -INF, 2.0]])
    said = draw(apart[0].to(context.device), apart[1].to(context.device), given[2][:1], fallback=1.0)
    context.record("no common token", status=said.status.cpu(), token=said.token.cpu())


def _rollouts(context: Context) -> None:
    """Rollouts of GPT-2's shape: kernel, operation by operation, and on the CPU."""
    policy, target, _ = gpt2(context)
    batch = prompts(8, policy.vocab_size, context.device)
    session = policy.start(batch, 1)
    law = GeometricSampler().law
    chosen = fused_drawing(law, Truncation(), {"policy": session.logits, "target": session.logits}) is not None
    tokens = 24
    kernel, eager = (
        GeometricSampler(max_new_tokens=tokens, fused=fused).draw(batch, policy, target, samples=1, seed=3)
        for fused in (True, False)
    )
    cpu = [LanguageModel(one.model.to("cpu")) for one in (policy, target)]
    plain = GeometricSampler(max_new_tokens=tokens).draw(
        prompts(8, policy.vocab_size, "cpu"), cpu[0], cpu[1], samples=1, seed=3
    )
    for name, one, other in (("kernel, eager", kernel, eager), ("kernel, CPU", kernel, plain)):
        equal = one.completion_ids.cpu() == other.completion_ids.cpu()
        # Behind a token that differs, contexts do.
        same = equal.int().cumprod(-1).bool()
        columns = {
            column: float(((getattr(one, column).cpu() - getattr(other, column).cpu()).abs() * same).max())
            for column in COLUMNS
        }
        context.record(
            f"rollouts: {name}", kernel_chosen=chosen, equal_texts=f"{int(equal.all(-1).sum())}/8", differences=columns
        )

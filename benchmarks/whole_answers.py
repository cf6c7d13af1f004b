"""The mixture of whole answers beside the token-wise one: what its draws cost, where its α lies, what it trains.

    python benchmarks/whole_answers.py [--policy tiny/policy] [--target tiny/expert] [--prompts 100] [--tokens 32]
    python benchmarks/whole_answers.py --training [--seeds 3] [--budget 60000]

The first form draws `--survivors` answers to each of `--prompts` prompts from `SequenceGeometricSampler` with the
KL-symmetric α of whole answers, and as many from token-wise q*. Prompts are texts of the policy itself. It prints
quantiles over prompts of

- Z(x), with the relative standard error √((1 − Z)/(r − 2)) that r survivors leave to it;
- the tokens drawn per accepted answer, those of tries that died included, beside the mean length of an answer;
- α of whole answers, beside the mean of the token-wise α* along answers;
- the length of answers under both laws.

The second form trains q* on the tiny world with either sampler, weights of whole answers in both, until as many tokens
were sampled (pilots and tries that died included), and prints the gold reward on held-out prompts before and after.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
import warnings
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor

from qstar_pl.data import RLHFDataModule
from qstar_pl.methods import QStar
from qstar_pl.models import LanguageModel, Pretrained
from qstar_pl.qstar import FixedAlpha
from qstar_pl.samplers import GeometricSampler, PolicySampler, Sampler, SequenceGeometricSampler
from qstar_pl.types import PromptBatch, Rollout


def own_prompts(policy: LanguageModel, count: int, length: int) -> PromptBatch:
    """Return `count` texts of `length` tokens that the policy writes behind its first token."""
    start = policy.tokenizer.bos_token_id if policy.tokenizer is not None else None
    ids = torch.full((count, 1), start if start is not None else 0)
    begun = PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool), torch.arange(count), ())
    drawn = PolicySampler(max_new_tokens=length).draw(begun, policy, policy, samples=1, seed=0)
    # Texts that end early are padded on the left, as prompts are.
    rows = [ids[mask & ~torch.isin(ids, torch.tensor(policy.eos_token_ids))] for ids, mask in _rows(drawn)]
    prompts, mask = ids.new_zeros(count, length + 1), torch.zeros(count, length + 1, dtype=torch.bool)
    for row, text in enumerate(rows):
        full = torch.cat([ids[row], text])
        prompts[row, -len(full) :], mask[row, -len(full) :] = full, True
    return PromptBatch(prompts, mask, torch.arange(count), ())


def _rows(rollout: Rollout) -> list[tuple[Tensor, Tensor]]:
    return list(zip(rollout.completion_ids, rollout.completion_mask, strict=True))


def line(name: str, values: Tensor) -> None:
    """Print mean and quantiles of one number per prompt."""
    values = values.double()
    spread = values.quantile(torch.tensor([0.05, 0.5, 0.95], dtype=values.dtype)).tolist()
    print(f"{name:44s} {float(values.mean()):9.3f} " + " ".join(f"{value:9.3f}" for value in spread))


def describe(options: argparse.Namespace) -> None:
    """Print what whole answers of the pair cost."""
    policy, target = (
        LanguageModel((source := Pretrained(name)).load(), source.tokenizer())
        for name in (options.policy, options.target)
    )
    prompts, count = own_prompts(policy, options.prompts, options.prompt_tokens), options.survivors
    sampler = SequenceGeometricSampler(
        max_new_tokens=options.tokens, pilot=options.pilot, max_tries=options.max_tries, on_budget="smc"
    )
    started = time.perf_counter()
    whole = sampler.draw(prompts, policy, target, samples=count, seed=1)
    whole_s = time.perf_counter() - started
    started = time.perf_counter()
    tokenwise = GeometricSampler(max_new_tokens=options.tokens).draw(prompts, policy, target, samples=count, seed=1)
    tokenwise_s = time.perf_counter() - started

    def of_prompts(values: Tensor) -> Tensor:
        return values.double().view(options.prompts, count).mean(-1)

    def means(rollout: Rollout, column: Tensor) -> Tensor:
        return of_prompts(column.sum(-1) / rollout.completion_mask.sum(-1))

    survived_mask = of_prompts(whole.info.facts["survivors"]) > 0
    z = of_prompts(whole.log_z.double().sum(-1).exp())
    print(f"{options.prompts} prompts, {count} answers each, at most {options.tokens} tokens, {options.pilot} pilots")
    print(f"{'':44s} {'mean':>9s} {'5%':>9s} {'50%':>9s} {'95%':>9s}")
    line("Z(x)", z)
    line("  its relative standard error", ((1 - z[survived_mask]) / (count - 2)).sqrt())
    line("tries per accepted answer", of_prompts(whole.info.facts["tries"]) / count)
    line("α of whole answers", of_prompts(whole.alpha[:, 0]))
    line("mean token-wise α* along token-wise answers", means(tokenwise, tokenwise.alpha))
    line("length of answers, whole", of_prompts(whole.completion_mask.sum(-1)))
    line("length of answers, token-wise", of_prompts(tokenwise.completion_mask.sum(-1)))
    fixed = SequenceGeometricSampler(
        max_new_tokens=options.tokens, alpha=FixedAlpha(0.5), max_tries=options.max_tries, on_budget="smc"
    )
    half = fixed.draw(prompts, policy, target, samples=count, seed=1)
    for name, one in (("with pilots", whole), ("α = ½, without pilots", half)):
        kept = int(one.completion_mask.sum())
        drawn, length = (kept + one.info.discarded) / len(one), kept / len(one)
        print(f"tokens drawn per accepted answer, {name}: {drawn:.1f}, of which {length:.1f} are the answer's")
    print(f"prompts that went over to sequential Monte Carlo: {int((~survived_mask).sum())}")
    print(f"time: {whole_s:.1f} s; token-wise, as many answers: {tokenwise_s:.1f} s")


class Budget(Callback):
    """Ends a run once it has sampled so many tokens."""

    def __init__(self, tokens: int) -> None:
        self.tokens, self.spent = tokens, 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count what the step sampled, kept or not."""
        self.spent += outputs["report"].generated
        trainer.should_stop = self.spent >= self.tokens


def train(options: argparse.Namespace) -> None:
    """Print gold rewards after equal numbers of sampled tokens."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    tokens = options.tokens
    samplers: dict[str, Sampler] = {
        "token-wise q*": GeometricSampler(max_new_tokens=tokens),
        "whole-answer q*": SequenceGeometricSampler(max_new_tokens=tokens, on_budget="smc"),
    }
    print(
        f"{'sampler':18s} {'seed':>4s} {'steps':>6s} {'answers':>8s} {'tokens':>8s} {'gold before':>12s} {'after':>8s}"
    )
    for name, sampler in samplers.items():
        gains = []
        for seed in range(options.seeds):
            seed_everything(seed, verbose=False)
            budget = Budget(options.budget)
            trainer = Trainer(
                max_steps=10_000,
                callbacks=[budget],
                limit_val_batches=8,
                num_sanity_val_steps=0,
                val_check_interval=10_000,
                check_val_every_n_epoch=None,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            module, data = QStar(sampler=sampler), RLHFDataModule(batch_size=8)
            before = trainer.validate(module, data, verbose=False)[0]["val/reward_gold"]
            trainer.fit(module, data)
            steps = trainer.global_step
            after = trainer.validate(module, data, verbose=False)[0]["val/reward_gold"]
            gains.append(after - before)
            print(
                f"{name:18s} {seed:4d} {steps:6d} {steps * 32:8d} {budget.spent:8d} {before:12.3f} {after:8.3f}",
                flush=True,
            )
        mean = sum(gains) / len(gains)
        spread = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / max(1, len(gains) - 1))
        print(f"{name:18s} gain {mean:.3f} ± {spread:.3f} (standard deviation over seeds)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="tiny/policy")
    parser.add_argument("--target", default="tiny/expert")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--prompt_tokens", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=32, help="longest answer")
    parser.add_argument("--survivors", type=int, default=16, help="answers per prompt")
    parser.add_argument("--pilot", type=int, default=64, help="answers per prompt that α is found with")
    parser.add_argument("--max_tries", type=int, default=4096)
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=60_000, help="tokens sampled in a run")
    options = parser.parse_args()
    (train if options.training else describe)(options)


if __name__ == "__main__":
    main()

"""What q* costs beside the two models it mixes: time per token of decoding, on this machine, in one run.

    python benchmarks/decoding.py [--repeats 7] [--threads 2] [--device cuda] [--spread 0.02] [--skip-generate]
                                   [--compile law|all] [--baseline DIR]

Three ways to make 48 tokens for 8 prompts with two random GPT-2s (4 layers × 256 and 6 layers × 384, V = 50257):

- bare: the cached Hugging Face forwards of both models, one after the other, on tokens given beforehand;
- q*: `GeometricSampler` with all that a rollout reports (α, log Z, ESS, KL, log-probabilities);
- generate: `transformers`' generate() on the policy, with a LogitsProcessor that runs the target beside it and finds α
  by 20 bisections of the KL gap, as one would write it without this package.

With `--compile law` one more, with `--compile all` three:

- q*, law compiled: what a token costs beside the models as one graph (`alpha.solver=compiled`), the models as they are;
- bare, compiled: both models' passes compiled, as `torch_compile` compiles them, and nothing else;
- q*, all compiled: `torch_compile=true`. Its ratio to the bare compiled forwards is printed, too.

They take turns, so that a busy machine slows all of them; medians over the repeats are printed, of the times and
of the ratios of neighbors. On a CPU the processor time of all threads is taken, which other programs do not lengthen.

With `--baseline`, a checkout of another version of this project, q* decoding of both versions takes turns instead, each
in a process of its own: `git worktree add ../before REVISION`, then `--baseline ../before`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    DynamicCache,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
)

from qstar_pl.rollout import LanguageModel  # where older baselines have it, too
from qstar_pl.samplers import GeometricSampler
from qstar_pl.types import PromptBatch, Rollout

VOCAB, ROWS, PROMPT, TOKENS, BISECTIONS = 50257, 8, 16, 48, 20


def random_gpt2(layers: int, width: int, seed: int, spread: float) -> PreTrainedModel:
    """Make a GPT-2 without EOS, so that every answer has the full length."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        "gpt2", n_layer=layers, n_embd=width, n_head=width // 64, vocab_size=VOCAB, initializer_range=spread
    )
    config.bos_token_id = config.eos_token_id = None
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model


@torch.no_grad()
def bare(models: tuple[PreTrainedModel, ...], prompts: Tensor, tokens: Tensor) -> None:
    """Run the forwards that any sampler of both models needs, and nothing else."""
    for model in models:
        cache = model(prompts, use_cache=True, logits_to_keep=1).past_key_values
        for column in tokens.T[: TOKENS - 1]:
            cache = model(column.unsqueeze(-1), past_key_values=cache, use_cache=True).past_key_values


class BisectingProcessor(LogitsProcessor):
    """Replace the policy's scores by log q*, α found by halving [0, 1]."""

    def __init__(self, target: PreTrainedModel) -> None:
        self.target, self.cache, self.seen = target, DynamicCache(config=target.config), 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        output = self.target(input_ids[:, self.seen :], past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        self.seen = input_ids.shape[1]
        policy, target = scores.log_softmax(-1), output.logits[:, -1].log_softmax(-1)
        low, high = torch.zeros(len(scores), 1).to(scores), torch.ones(len(scores), 1).to(scores)
        for _ in range(BISECTIONS):
            alpha = (low + high) / 2
            mixture: Tensor = (alpha * policy + (1 - alpha) * target).log_softmax(-1)
            probs = mixture.exp()
            to_policy = (probs * (mixture - policy)).sum(-1, keepdim=True)
            to_target = (probs * (mixture - target)).sum(-1, keepdim=True)
            nearer_target = to_policy > to_target  # then q must move towards the policy
            low, high = torch.where(nearer_target, alpha, low), torch.where(nearer_target, high, alpha)
        return mixture


@torch.no_grad()
def generate(policy: PreTrainedModel, target: PreTrainedModel, prompts: Tensor) -> Tensor:
    """Sample as one would with transformers alone; return prompts with answers."""
    ids: Tensor = policy.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        do_sample=True,
        max_new_tokens=TOKENS,
        top_k=0,
        logits_processor=LogitsProcessorList([BisectingProcessor(target)]),
    )
    return ids


def timed(call: Callable[[], object], device: str) -> float:
    """Return milliseconds per token."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    started = clock()
    call()
    if device != "cpu":
        torch.accelerator.synchronize()
    return (clock() - started) / TOKENS * 1e3


class Setting:
    """Two random models and prompts for them."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.set_num_threads(options.threads)
        self.options = options
        self.policy = random_gpt2(4, 256, 0, options.spread).to(options.device)
        self.target = random_gpt2(6, 384, 1, options.spread).to(options.device)
        self.ids = torch.randint(VOCAB, (ROWS, PROMPT + TOKENS)).to(options.device)
        mask = torch.ones(ROWS, PROMPT, dtype=torch.bool, device=options.device)
        self.prompts = PromptBatch(self.ids[:, :PROMPT], mask, torch.arange(ROWS), ())
        self.models = LanguageModel(self.policy), LanguageModel(self.target)

    def decode(self, **options: Any) -> Rollout:
        """Draw the answers from q*."""
        sampler = GeometricSampler(max_new_tokens=TOKENS, **options)
        return sampler.draw(self.prompts, *self.models, samples=1, seed=0)

    def bare_compiled(self) -> None:
        """Run both models' compiled passes over the tokens, and nothing else."""
        from qstar_pl.models.compiling import Compiling, compiling

        with compiling(Compiling("inductor", TOKENS)):
            sessions = [model.start(self.prompts, 1) for model in self.models]
        for session in sessions:
            for column in self.ids[:, PROMPT:-1].T:
                session.advance(column)


def serve(setting: Setting) -> None:
    """Decode once for every line that comes in, and answer with the time."""
    device = setting.options.device
    print(f"mean alpha {setting.decode().alpha.mean():.4f}", flush=True)  # which also warms up
    for _ in sys.stdin:
        print(timed(setting.decode, device), flush=True)


def worker(checkout: Path, arguments: list[str]) -> subprocess.Popen[str]:
    """Start a server of the version in `checkout`, with this very script."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve() / "src")}
    command = [sys.executable, __file__, "--serve", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)


def ask(server: subprocess.Popen[str]) -> float:
    """Return the milliseconds per token of one more decode."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("go\n")
    server.stdin.flush()
    return float(server.stdout.readline())


def print_before_and_after(baseline: Path, options: argparse.Namespace) -> None:
    """Let both versions take turns, and print the median of the ratios of neighbors."""
    arguments = [f"--threads={options.threads}", f"--device={options.device}", f"--spread={options.spread}"]
    checkouts = {"before": baseline, "after": Path(__file__).parents[1]}
    servers = {name: worker(checkout, arguments) for name, checkout in checkouts.items()}
    for name, server in servers.items():
        assert server.stdout is not None
        print(f"q* decode {name}: {server.stdout.readline().strip()}")
    times: dict[str, list[float]] = {name: [] for name in servers}
    for repeat in range(options.repeats):
        for name in sorted(servers, reverse=bool(repeat % 2)):
            times[name].append(ask(servers[name]))
    for server in servers.values():
        server.communicate()
    for name, values in times.items():
        print(f"q* decode {name:6s} {statistics.median(values):7.2f} ms per token  (fastest {min(values):.2f})")
    ratios = [after / before for before, after in zip(times["before"], times["after"], strict=True)]
    fastest = min(times["after"]) / min(times["before"])
    print(
        f"after / before: median of {len(ratios)} turns {statistics.median(ratios):.3f}, of the fastest {fastest:.3f}"
    )


def print_beside_forwards(setting: Setting) -> None:
    """Let q*, the bare forwards and transformers' generate take turns."""
    options, prompts, models = setting.options, setting.prompts, (setting.policy, setting.target)
    calls: dict[str, Callable[[], object]] = {
        "bare forwards": lambda: bare(models, prompts.prompt_ids, setting.ids[:, PROMPT:]),
        "q* decode": setting.decode,
    }
    if not options.skip_generate:
        calls["generate + bisection"] = lambda: generate(*models, prompts.prompt_ids)
    if options.compile:
        from qstar_pl.qstar import KLSymmetricAlpha

        calls["q*, law compiled"] = lambda: setting.decode(alpha=KLSymmetricAlpha(solver="compiled"))
    if options.compile == "all":
        calls["bare, compiled"] = setting.bare_compiled
        calls["q*, all compiled"] = lambda: setting.decode(torch_compile=True)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(options.repeats + 1):
        for name, call in calls.items():
            elapsed = timed(call, options.device)
            if repeat > 0:  # the first round warms up
                times[name].append(elapsed)
    rollout = setting.decode()
    print(f"batch {ROWS}, {TOKENS} tokens, V = {VOCAB}, {options.threads} threads, {options.repeats} repeats; ", end="")
    print(f"mean alpha {rollout.alpha.mean():.3f}, mean -log Z {-rollout.log_z.mean():.4f} nats")
    for name, values in times.items():
        middle = statistics.median(values)
        ratio = statistics.median(own / bare for own, bare in zip(values, times["bare forwards"], strict=True))
        print(f"{name:22s} {middle:7.2f} ms per token  {ratio:5.3f} x bare  (fastest {min(values):.2f})")
    if options.compile == "all":
        pairs = zip(times["q*, all compiled"], times["bare, compiled"], strict=True)
        print(f"q*, all compiled: {statistics.median(own / bare for own, bare in pairs):.3f} x bare, compiled")
    if options.compile:
        eager, compiled = rollout, setting.decode(alpha=KLSymmetricAlpha(solver="compiled"))
        same = (eager.completion_ids == compiled.completion_ids).all(-1).sum()
        print(f"{int(same)} of {ROWS} texts with the law compiled are those of plain decoding")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time per token of q* decoding beside the bare forwards.")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--spread", type=float, default=0.02, help="standard deviation of the random weights")
    parser.add_argument("--baseline", type=Path, help="checkout of another version, to be compared with this one")
    parser.add_argument("--skip-generate", action="store_true", help="leave out the third way, which takes longest")
    parser.add_argument("--compile", choices=("law", "all"), help="also with the law compiled, or the models as well")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.baseline is not None:
        print_before_and_after(options.baseline, options)
    elif options.serve:
        serve(Setting(options))
    else:
        print_beside_forwards(Setting(options))


if __name__ == "__main__":
    main()

"""Decoding rows of unequal length: time beside that of a full batch, and the share of its tokens that were live.

    python benchmarks/ragged.py [--repeats 5] [--rows 32] [--tokens 80]

q* of two random GPT-2s (4 layers × 256 and 6 layers × 384, V = 8192). Half of the rows end after a tenth of the
tokens, the others run to the end; then all of them do. The two take turns, and the median of their ratios is printed
beside (live tokens ÷ all tokens). Processor time is taken, which other programs do not lengthen.

What no way of decoding can fall below is printed as well: both models' passes alone, all rows for the first tenth of
the tokens and half of them for the others, over passes of all rows throughout. Half the rows cost more than half.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from qstar_pl.models import LanguageModel
from qstar_pl.models.next_token import DecodeSession, NextToken
from qstar_pl.qstar import KLSymmetricAlpha
from qstar_pl.rollout import Geometric, decode
from qstar_pl.types import PromptBatch

VOCAB, PROMPT, EOS = 8192, 16, 0


class Scripted(NextToken):
    """A model whose rows end when they are told to: EOS gets all the probability then, and none before."""

    def __init__(self, model: LanguageModel, ends: Tensor) -> None:
        self.model, self.ends = model, ends

    @property
    def vocab_size(self) -> int:
        return self.model.vocab_size

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return (EOS,)

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        return ScriptedSession(self.model.start(prompts, samples), self.ends)

    def completion_logits(self, *_: object) -> Tensor:
        raise NotImplementedError("both models of the mixture decode")


class ScriptedSession(DecodeSession):
    """Passes everything on, and changes what is said of EOS."""

    def __init__(self, session: DecodeSession, ends: Tensor) -> None:
        self.session, self.ends, self.time = session, ends, 1

    @property
    def logits(self) -> Tensor:
        logits = self.session.logits.clone()
        logits[:, EOS] = torch.where(self.ends <= self.time, 1e4, -1e4)
        return logits

    def advance(self, token_ids: Tensor) -> None:
        self.session.advance(token_ids)
        self.time += 1

    def rewind(self, counts: Tensor) -> None:
        self.session.rewind(counts)

    def select(self, rows: Tensor) -> None:
        self.session.select(rows)
        self.ends = self.ends[rows]


def random_gpt2(layers: int, width: int, seed: int) -> LanguageModel:
    """Make a GPT-2 with seeded weights."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model("gpt2", n_layer=layers, n_embd=width, n_head=width // 64, vocab_size=VOCAB)
    config.bos_token_id = config.eos_token_id = EOS
    return LanguageModel(AutoModelForCausalLM.from_config(config).eval())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=80)
    options = parser.parse_args()
    models = random_gpt2(4, 256, 0), random_gpt2(6, 384, 1)
    ids = torch.randint(1, VOCAB, (options.rows, PROMPT))
    prompts = PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool), torch.arange(options.rows), ())
    full = torch.full((options.rows,), options.tokens)
    half = torch.where(torch.arange(options.rows) % 2 == 0, options.tokens // 10, options.tokens)

    def timed(ends: Tensor) -> float:
        policy, target = (Scripted(model, ends) for model in models)
        started = time.process_time()
        rollout = decode(
            prompts, policy, target, Geometric(KLSymmetricAlpha()), samples=1, seed=0, max_new_tokens=options.tokens
        )
        spent = time.process_time() - started
        assert torch.equal(rollout.completion_mask.sum(-1), ends)
        return spent

    def passes(ends: Tensor) -> float:
        """Return the time of the models' passes alone, over the rows that have not ended."""
        column = torch.ones(options.rows, dtype=torch.int64)
        started = time.process_time()
        for model in models:
            session, rows = model.start(prompts, 1), options.rows
            for place in range(1, options.tokens):
                if (live := int((ends > place).sum())) < rows:
                    session.select((ends > place).nonzero().squeeze(-1))
                    rows = live
                session.advance(column[:rows])
        return time.process_time() - started

    timed(half), passes(half)
    ratios, floors = [], []
    for _ in range(options.repeats):
        ratios.append(timed(half) / timed(full))
        floors.append(passes(half) / passes(full))
    live = float(half.sum() / full.sum())
    ratio = statistics.median(ratios)
    print(f"live tokens ÷ all tokens: {live:.3f}; time ÷ time of the full batch: {ratio:.3f} (median of {len(ratios)})")
    print(f"time over live share: {ratio / live:.3f}")
    floor = statistics.median(floors)
    print(f"the models' passes alone: {floor:.3f}, over live share: {floor / live:.3f}")


if __name__ == "__main__":
    main()

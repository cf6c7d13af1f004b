"""Exact draws of a mixture of whole answers: token-wise rows that die where the mixture of whole answers is thinner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.models.next_token import DecodeSession, NextToken
from qstar_pl.qstar import geometric_mixture
from qstar_pl.rollout.finish import write_tokens
from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.rollout.law import POLICY, TARGET, Mixed
from qstar_pl.rollout.pace import Clock, Pace
from qstar_pl.rollout.streams import row_seed, row_uniforms, stream
from qstar_pl.rollout.trace import Trace
from qstar_pl.types import PromptBatch


@dataclass(frozen=True)
class Survivors:
    """What is left of the tries; rows = prompts × survivors, those of a prompt adjacent, in the order of its tries."""

    trace: Trace
    """`behavior_logprobs` and `log_z` are those of the token-wise mixture in each context."""
    ended_mask: Tensor
    """[rows] bool: the answer ended with EOS."""
    tries: Tensor
    """[prompts] int64: the tries up to the last survivor, itself included."""
    drawn: int
    """Tokens, of all tries."""
    given_up: list[int]
    """Prompts that ran out of tries; their rows hold nothing of use."""


class _Tries:
    """Which try comes next, and which numbers decide it: those of the try, whatever row it is made in."""

    def __init__(self, keys: Tensor, seed: int, limit: int, tokens: int) -> None:
        self._keys, self._seed, self._limit, self._tokens = keys.tolist(), seed, limit, tokens
        # A try lives through its first t tokens if its number lies below Π Z_1 … Z_t: one number decides all of them.
        self._luck = row_uniforms(keys, 1, limit, seed=seed, purpose="survive").log_().tolist()
        self._next = [0] * len(self._keys)

    def begin(self, prompt: int, log_z: float) -> tuple[int, float] | None:
        """Return the next try of a prompt that outlives its first token, and its number; None: there is none left."""
        # All tries of a prompt begin in the same context: those that die in it need no model.
        luck = self._luck[prompt]
        while (number := self._next[prompt]) < self._limit:
            self._next[prompt] += 1
            if luck[number] < log_z:
                return number, luck[number]
        return None

    def uniforms(self, prompt: int, number: int) -> Tensor:
        """Return the numbers [tokens] that draw a try's tokens: those of the token-wise sampler's answer `number`."""
        return stream(self._tokens, row_seed(self._seed, self._keys[prompt], number))


@torch.no_grad()
def survivors(
    prompts: PromptBatch,
    policy: NextToken,
    target: NextToken,
    alpha: Tensor,
    *,
    count: int,
    seed: int,
    max_new_tokens: int,
    limit: int,
    give_up: Callable[[int], None],
    pace: Pace = Pace(),
) -> Survivors:
    """Draw answers from q ∝ π_θ(y|x)^α π_t(y|x)^(1−α) over whole answers, exactly.

    A row is drawn token by token from the mixture in its context, and lives on with the probability Z_t of that context
    (≤ 1 by Hölder's inequality). What survives to its end has probability Π_t q_t Z_t = π_θ(y)^α π_t(y)^(1−α), so a
    survivor is a draw of q, and a try survives with probability Z(x). A row that died goes on with the next try of its
    prompt; never more tries run than survivors are wanted, so the tries that were begun hold exactly `count` of them,
    and what they are depends on (seed, prompt) alone.

    Args:
        prompts: padded on the left.
        policy: π_θ, whose EOS ids end an answer.
        target: π_t; both must take tokens back (`NextToken.rewinds`).
        alpha: [prompts] exponent of π_θ, the same along an answer.
        count: survivors per prompt.
        seed: of the draw.
        max_new_tokens: longest answer; q is then a law over answers that are cut there.
        limit: most tries per prompt.
        give_up: called with the number of a prompt that had `limit` tries and fewer survivors; may raise.
        pace: when the loop ends, with processes that decode at the same time.

    """
    loop = _Loop(prompts, policy, target, alpha, count, _Tries(prompts.keys, seed, limit, max_new_tokens), give_up)
    clock, steps = Clock(pace), 0
    while True:
        token = loop.step(policy, max_new_tokens)
        steps += 1
        if clock.over(len(loop.live) == 0, steps):
            break
        loop.advance(token)
    return loop.result()


class _Loop:
    """Rows that grow, die and begin anew."""

    def __init__(
        self,
        prompts: PromptBatch,
        policy: NextToken,
        target: NextToken,
        alpha: Tensor,
        count: int,
        tries: _Tries,
        give_up: Callable[[int], None],
    ) -> None:
        self.tries, self.give_up, self.count = tries, give_up, count
        self.sessions: dict[str, DecodeSession] = {
            POLICY: policy.start(prompts, count),
            TARGET: target.start(prompts, count),
        }
        # [prompts, vocab]: where every try begins.
        self.first = {role: session.logits[::count].log_softmax(-1) for role, session in self.sessions.items()}
        like = self.first[POLICY]
        rows, self.device = len(prompts) * count, like.device
        self.prompt = torch.arange(len(prompts), device=self.device).repeat_interleave(count)
        self.alpha = alpha.to(like)
        self.first_log_z = geometric_mixture(self.first[POLICY], self.first[TARGET], self.alpha).log_z
        self.trace = Trace(rows, tries._tokens, like)
        self.uniforms = torch.zeros(rows, tries._tokens, dtype=torch.float64, device=self.device)
        self.number = torch.zeros(rows, dtype=torch.int64)
        self.luck = torch.full((rows,), torch.inf, dtype=torch.float64, device=self.device)  # until a try begins
        self.log_alive = torch.zeros(rows, dtype=torch.float64, device=self.device)
        self.length = torch.zeros(rows, dtype=torch.int64, device=self.device)
        self.ended = torch.zeros(rows, dtype=torch.bool, device=self.device)
        self.live = torch.arange(rows, device=self.device)
        """Rows whose try goes on."""
        self.kept = self.live
        """Rows of the sessions."""
        self.appended = torch.zeros(rows, dtype=torch.int64, device=self.device)
        """[rows] tokens of the sessions behind the prompt."""
        self.given_up: list[int] = []
        self.drawn = 0

    def step(self, policy: NextToken, longest: int) -> Tensor:
        """Let rows die and begin anew, draw one token for each that lives, and return the tokens [live]."""
        live = self.live
        if not len(live):
            return live
        logprobs = {role: session.logits.log_softmax(-1) for role, session in self.sessions.items()}
        mixed = self._mixed(logprobs, live)
        self.log_alive[live] += mixed.log_z.double()
        dead_mask = self.luck[live] >= self.log_alive[live]
        if bool(dead_mask.any()):
            self._restart(live[dead_mask])
            of = self.prompt[live[dead_mask]]
            for role, values in logprobs.items():
                values[dead_mask] = self.first[role][of]
            over = torch.tensor(self.given_up, dtype=torch.int64, device=self.device)
            stays_mask = ~torch.isin(self.prompt[live], over)
            live, logprobs = live[stays_mask], {role: values[stays_mask] for role, values in logprobs.items()}
            mixed = self._mixed(logprobs, live)
        where = (live, self.length[live])
        probs = mixed.logprobs.softmax(-1)
        token = inverse_cdf(probs, self.uniforms[where])
        self.drawn += len(live)
        write_tokens(self.trace, where, token, logprobs, mixed, mixed.logprobs, probs)
        self.length[live] += 1
        self.ended[live] = torch.isin(token, torch.tensor(policy.eos_token_ids, dtype=torch.int64, device=self.device))
        on_mask = ~self.ended[live] & (self.length[live] < longest)
        self.live = live[on_mask]
        return token[on_mask]

    def _mixed(self, logprobs: Mapping[str, Tensor], rows: Tensor) -> Mixed:
        alpha = self.alpha[self.prompt[rows]]
        mixture = geometric_mixture(logprobs[POLICY], logprobs[TARGET], alpha)
        return Mixed(mixture.logprobs, alpha, mixture.log_z)

    def _restart(self, rows: Tensor) -> None:
        for row, prompt in zip(rows.tolist(), self.prompt[rows].tolist(), strict=True):
            if prompt in self.given_up:
                continue
            begun = self.tries.begin(prompt, float(self.first_log_z[prompt]))
            if begun is None:
                self.give_up(prompt)
                self.given_up.append(prompt)
                continue
            self.number[row], self.luck[row] = begun
            self.uniforms[row] = self.tries.uniforms(prompt, begun[0])
        self.length[rows] = 0
        self.log_alive[rows] = self.first_log_z[self.prompt[rows]].double()
        self.trace.mask[rows] = False

    def advance(self, token: Tensor) -> None:
        """Let the models read the tokens [live]; without any row left, keep other processes company."""
        if len(self.live):
            if len(self.live) < len(self.kept):
                places = torch.isin(self.kept, self.live).nonzero().squeeze(-1)
                for session in self.sessions.values():
                    session.select(places)
                self.kept = self.live
            before = self.length[self.kept] - 1
        else:
            before = torch.zeros_like(self.kept)
            token = torch.zeros_like(self.kept)
        # What a row read of a try that died is taken back; its prompt stays.
        counts = self.appended[self.kept] - before
        for session in self.sessions.values():
            if bool(counts.any()):
                session.rewind(counts)
            session.advance(token)
        self.appended[self.kept] = before + 1

    def result(self) -> Survivors:
        """Return the survivors in the order of the tries."""
        by_prompt = self.number.view(-1, self.count)
        order = by_prompt.argsort(-1) + torch.arange(len(by_prompt)).unsqueeze(-1) * self.count
        rows = order.flatten().to(self.device)
        self.trace.select(rows)
        self.trace.clear_unmasked()
        return Survivors(self.trace, self.ended[rows], by_prompt.amax(-1) + 1, self.drawn, self.given_up)

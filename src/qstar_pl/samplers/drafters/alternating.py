"""The two models take turns: each verifies what the other drafted, and goes on from there."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from qstar_pl.rollout.law import POLICY, TARGET
from qstar_pl.samplers.drafters.drafter import Block, Drafter, Drafting, Passes, Proposal, Setting
from qstar_pl.samplers.feeds.answers import Answers


@dataclass(frozen=True)
class Alternating(Drafter):
    """π_θ drafts a block and π_t verifies it, then π_t drafts and π_θ verifies, and so on (Collaborative decoding via
    speculation, arXiv 2502.01662, the alternate proposer framework).

    The pass that verifies a block has read all of it, so the next block's first proposal is at hand. With blocks of
    one token, as long as all is accepted, a token costs one pass of one of the models; plain decoding needs both. After
    a refusal both have to read what was drawn instead. So the expected cost per token is at most that of
    plain decoding, up to what a pass of two tokens costs more than one of one.
    """

    @property
    def roles(self) -> tuple[str, ...]:
        """See `Drafter.roles`."""
        return (POLICY, TARGET)

    @property
    def steady(self) -> bool:
        """See `Drafter.steady`: whose turn it is at a position depends on the blocks before it."""
        return False

    def start(self, setting: Setting) -> Drafting:
        """See `Drafter.start`."""
        return AlternatingDrafting(setting)


class AlternatingDrafting(Drafting):
    """Whose turn it is."""

    bonus = False

    def __init__(self, setting: Setting) -> None:
        self._setting, self._role, self._other = setting, POLICY, TARGET

    def propose(self, answers: Answers, place: int) -> Proposal:
        """See `Drafting.propose`."""
        return Proposal(self._setting.probs(self._setting.feeds[self._role].logits(answers, place + 1)[:, place]))

    def settle(self, standing: Tensor, whole: bool) -> None:
        """See `Drafting.settle`: after each block it is the other's turn."""
        self._role, self._other = self._other, self._role

    def block(self, k: int, acceptance: float) -> Block:
        """See `Drafting.block`: half of the blocks are either model's, and the first proposal is free behind a whole
        one."""
        tokens = sum(acceptance**i for i in range(k))
        steps, roles = k - acceptance**k, (self._role, self._other)
        # A verifier reads the last token of the block that it drafted itself, and the new block.
        passes = [Passes(role, *kind) for role in roles for kind in ((1, steps / 2), (k + 1, 0.5))]
        return Block(tokens, tuple(passes))

"""What models say of tokens that were drawn before."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch

from qstar_pl.qstar import FixedAlpha, KLSymmetricAlpha
from qstar_pl.rollout import POLICY, TARGET, Alone, Geometric, Law, Truncation, decode
from qstar_pl.rollout.rescoring import rescored
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.types import KeptSets, Rollout

VOCAB, LENGTH, EOS = 7, 6, 1


def table(seed: int) -> TableModel:
    generator = torch.Generator().manual_seed(seed)
    return TableModel(torch.randn(VOCAB, VOCAB, generator=generator, dtype=torch.float64), eos=(EOS,))


POLICY_MODEL, TARGET_MODEL = table(0), table(1)


def drawn(law: Law, truncation: Truncation = Truncation()) -> Rollout:
    prompts = prompt_batch([[3], [4, 5], [2]])
    return decode(
        prompts,
        POLICY_MODEL,
        TARGET_MODEL,
        law,
        samples=4,
        seed=3,
        max_new_tokens=LENGTH,
        truncation=truncation,
    )


def kept_by(law: Law, truncation: Truncation, rollout: Rollout) -> KeptSets:
    """The sets that were kept, from the tables: the law of the next token follows from the last one."""
    logprobs = {POLICY: POLICY_MODEL.table.log_softmax(-1), TARGET: TARGET_MODEL.table.log_softmax(-1)}
    rows = truncation(law({role: logprobs[role] for role in law.roles}).logprobs)
    before = torch.cat([rollout.prompts.prompt_ids[rollout.prompt_index, -1:], rollout.completion_ids[:, :-1]], 1)
    kept = (rows[before] > -torch.inf) & rollout.completion_mask.unsqueeze(-1)
    return KeptSets(ids=kept.nonzero()[:, -1], counts=kept.sum(-1))


def with_kept(rollout: Rollout, kept: KeptSets | None) -> Rollout:
    return replace(rollout, info=replace(rollout.info, kept=kept))


LAWS = [Alone(POLICY), Alone(TARGET), Geometric(KLSymmetricAlpha()), Geometric(FixedAlpha(0.3))]


@pytest.mark.parametrize("law", LAWS, ids=["policy", "target", "q_star", "fixed"])
@pytest.mark.parametrize("truncation", [Truncation(), Truncation(0.7, 3)], ids=["full", "cut"])
def test_the_models_that_drew_say_the_same_again(law: Law, truncation: Truncation) -> None:
    rollout = drawn(law, truncation)
    kept = kept_by(law, truncation, rollout) if truncation.cuts else None
    again = rescored(with_kept(rollout, kept), POLICY_MODEL, TARGET_MODEL, law, truncation=truncation)
    assert again.recomputed_logprobs is not None
    torch.testing.assert_close(again.recomputed_logprobs, rollout.behavior_logprobs, atol=1e-9, rtol=0)
    assert again.behavior_logprobs is rollout.behavior_logprobs
    for name in COLUMNS:
        torch.testing.assert_close(getattr(again, name), getattr(rollout, name), atol=1e-6, rtol=1e-6)


def test_other_weights_say_what_they_are() -> None:
    rollout, law, other = drawn(Geometric(FixedAlpha(0.5))), Geometric(FixedAlpha(0.5)), table(2)
    again = rescored(rollout, other, TARGET_MODEL, law)
    ids, before = rollout.completion_ids[0, 0], rollout.prompts.prompt_ids[0, -1]
    rows = {role: model.table.log_softmax(-1)[before] for role, model in ((POLICY, other), (TARGET, TARGET_MODEL))}
    mixed = law({role: row.unsqueeze(0) for role, row in rows.items()}).logprobs[0]
    assert again.recomputed_logprobs is not None
    torch.testing.assert_close(again.recomputed_logprobs[0, 0], mixed[ids])
    torch.testing.assert_close(again.policy_logprobs[0, 0], rows[POLICY][ids])
    assert not torch.allclose(again.policy_logprobs, rollout.policy_logprobs)


def test_under_the_kept_set_no_token_is_lost_that_a_set_of_ones_own_would_lose() -> None:
    """Weights that differ order the tokens otherwise: three kept by their own count are not the three drawn from."""
    law, truncation = Alone(POLICY), Truncation(top_k=2)
    rollout, other = drawn(law, truncation), table(2)
    own = rescored(rollout, other, TARGET_MODEL, law, truncation=truncation).recomputed_logprobs
    kept = kept_by(law, truncation, rollout)
    shared = rescored(with_kept(rollout, kept), other, TARGET_MODEL, law, truncation=truncation).recomputed_logprobs
    assert own is not None
    assert shared is not None
    assert (own == -torch.inf).any()
    assert shared.isfinite().all()
    first = kept.mask_at(torch.tensor([0]), torch.tensor([0]), VOCAB)[0]
    assert first.sum() == 2
    logits = other.table[rollout.prompts.prompt_ids[0, -1]]
    expected = logits.masked_fill(~first, -torch.inf).log_softmax(-1)[rollout.completion_ids[0, 0]]
    torch.testing.assert_close(shared[0, 0], expected)


def test_kept_sets_are_found_wherever_they_stand() -> None:
    kept = KeptSets(ids=torch.tensor([2, 0, 3, 1, 4]), counts=torch.tensor([[2, 0], [1, 2]]))
    found = kept.mask_at(torch.tensor([1, 0, 0, 1]), torch.tensor([1, 1, 0, 0]), 5)
    assert [row.nonzero().flatten().tolist() for row in found] == [[1, 4], [0, 1, 2, 3, 4], [0, 2], [3]]

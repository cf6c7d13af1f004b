"""Batches decoded as one against the same batches one after the other."""

import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch, random_model

from qstar_pl.models import LanguageModel
from qstar_pl.qstar import KLSymmetricAlpha
from qstar_pl.rollout import Alone, Geometric, decode, refill
from qstar_pl.rollout.refill import decode_all
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.types import PromptBatch, Rollout

EXACT = ("completion_ids", "completion_mask", "ended_mask", *COLUMNS)


def batches(count: int, size: int, longest: int) -> list[PromptBatch]:
    """Make prompts, longest first, of which some batches have pads."""
    draw = torch.Generator().manual_seed(0)
    lengths = sorted(torch.randint(2, longest, (count * size,), generator=draw).tolist(), reverse=True)
    rows = [torch.randint(2, 11, (length,), generator=draw).tolist() for length in lengths]
    keys = torch.arange(len(rows)).tolist()
    starts = range(0, len(rows), size)
    return [prompt_batch(rows[at : at + size], keys=[key + 1 for key in keys[at : at + size]]) for at in starts]


def differing(one: list[Rollout], other: list[Rollout]) -> list[str]:
    return [n for a, b in zip(one, other, strict=True) for n in EXACT if not torch.equal(getattr(a, n), getattr(b, n))]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize(("samples", "size"), [(1, 6), (3, 2)], ids=["one_answer", "three_answers"])
def test_every_number_is_the_same_with_and_without_refill(family: str, samples: int, size: int) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        policy, target = (LanguageModel(random_model(family, seed=seed).float()) for seed in (0, 1))
        given = batches(6, size, 20)
        for law in (Geometric(KLSymmetricAlpha()), Alone("policy")):
            options = {"samples": samples, "seed": 3, "max_new_tokens": 20}
            apart = decode_all(given, policy, target, law, refill=False, **options)
            assert differing(apart, decode_all(given, policy, target, law, **options)) == []
            plain = [decode(one, policy, target, law, **options) for one in given]
            for one, other in zip(apart, plain, strict=True):
                assert torch.equal(one.completion_ids, other.completion_ids)
                torch.testing.assert_close(one.behavior_logprobs, other.behavior_logprobs, rtol=1e-5, atol=1e-5)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("filling", [True, False])
def test_rows_that_end_make_room_for_the_next_prompts(filling: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    model = TableModel(torch.randn(11, 11, generator=draw, dtype=torch.float64), eos=(1,))
    given = batches(12, 4, 3)
    options = {"samples": 1, "seed": 3, "max_new_tokens": 40}
    rollouts = decode_all(given, model, model, Alone("policy"), refill=filling, **options)
    longest = torch.stack([one.completion_mask.sum(-1).amax() for one in rollouts])
    one_by_one = int(longest.sum()) - len(given)  # nothing is read behind the last token of a batch
    assert model.steps < 0.85 * one_by_one if filling else model.steps == one_by_one
    for one, batch in zip(rollouts, given, strict=True):
        plain = decode(batch, model, model, Alone("policy"), **options)
        assert torch.equal(one.completion_ids, plain.completion_ids)
        assert torch.equal(one.ended_mask, plain.ended_mask)
        assert one.ended_mask.any()


def test_answers_that_end_almost_together_are_not_read_in_parts() -> None:
    """Each token is followed by the next one, so that an answer ends after 10 − (the prompt's last token) of them."""
    chain = torch.full((11, 11), -torch.inf, dtype=torch.float64)
    chain[torch.arange(10), torch.arange(1, 11)] = 0.0
    model = TableModel(chain, eos=(10,))
    given = [
        prompt_batch([[last] for last in (5, 6, 7, 8)], keys=[4 * at + row for row in range(4)]) for at in range(6)
    ]
    rollouts = decode_all(given, model, model, Alone("policy"), samples=1, seed=3, max_new_tokens=40)
    assert model.steps == 4 * len(given), "as many passes as batch by batch: the longest answer has 5 tokens"
    assert all(one.completion_mask.sum(-1).tolist() == [5, 4, 3, 2] for one in rollouts)


def test_rows_that_may_outgrow_a_block_of_attention_are_decoded_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(random_model().float())
    given, options = batches(3, 4, 20), {"samples": 1, "seed": 3, "max_new_tokens": 8}
    # The first batch alone is too long.
    monkeypatch.setattr(refill, "SAME_SUMS", given[1].prompt_ids.shape[1] + 8 + refill.STRIDE)
    found = decode_all(given, model, model, Alone("policy"), **options)
    assert differing(found[:1], [decode(given[0], model, model, Alone("policy"), **options)]) == []
    together = decode_all(given[1:], model, model, Alone("policy"), **options)
    assert differing(found[1:], together) == []

import pytest
import torch
from reference.sessions import walk
from reference.tiny_models import TableModel, prompt_batch

from qstar_pl.models.relabeled import Relabeled

OWN = torch.tensor([3, 0, 4, 1, 2])


def models(eos: tuple[int, ...] = (1,)) -> tuple[TableModel, Relabeled]:
    """A model in the policy's ids, and the same one in its own ids behind a translation."""
    table = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own = torch.empty_like(table)
    own[OWN.unsqueeze(-1), OWN] = table
    return TableModel(table, eos), Relabeled(TableModel(own, tuple(int(OWN[i]) for i in eos)), OWN)


def test_decoding_and_reading_are_those_of_the_model_in_the_policys_ids():
    plain, translated = models()
    assert (translated.vocab_size, translated.eos_token_ids) == (5, (1,))
    prompts = prompt_batch([[2, 3], [4]], pad_id=99)
    sessions = plain.start(prompts, 2), translated.start(prompts, 2)
    torch.testing.assert_close(sessions[1].logits, sessions[0].logits, rtol=0, atol=0)
    for session in sessions:
        session.advance(torch.tensor([0, 1, 2, 4]))
    torch.testing.assert_close(sessions[1].logits, sessions[0].logits, rtol=0, atol=0)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    given = (prompts, torch.tensor([1, 0]), torch.tensor([[0, 3, 1], [2, 77, 77]]), mask)
    plain_ids = torch.where(mask, given[2], 0)
    wanted = plain.completion_logits(prompts, given[1], plain_ids, mask)
    found = translated.completion_logits(*given)
    torch.testing.assert_close(found[mask], wanted[mask], rtol=0, atol=0)


@pytest.mark.parametrize("eos", [(), (0, 4)])
def test_ends_are_the_policys_ids(eos):
    assert models(eos)[1].eos_token_ids == eos


def test_blocks_rewinds_and_choices_are_passed_on():
    walk(models()[1], prompt_batch([[2, 3], [4]]), seed=6)

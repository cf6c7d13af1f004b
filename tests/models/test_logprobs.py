import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch

from qstar_pl.models.logprobs import completion_logprobs, logits_to_logprobs_and_entropy

IDS = torch.tensor([[4, 9, 2, 0], [5, 3, 0, 0], [2, 6, 6, 1], [8, 1, 0, 0], [3, 3, 3, 3]])
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
INDEX = torch.tensor([0, 0, 1, 1, 1])


def test_equals_the_distributions_of_a_table() -> None:
    table = torch.randn(11, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    prompts = prompt_batch([[3, 5], [7]])
    model = TableModel(table)
    logprobs = completion_logprobs(model, prompts, INDEX, IDS, MASK)
    own, entropy = logits_to_logprobs_and_entropy(model.completion_logits(prompts, INDEX, IDS, MASK), IDS, MASK)
    assert torch.equal(own, logprobs)
    for row in range(5):
        last = [5, 7][int(INDEX[row])]
        for time in range(4):
            law = table[last].softmax(-1)
            expected = law[IDS[row, time]].log() if MASK[row, time] else torch.zeros(())
            assert logprobs[row, time].item() == pytest.approx(expected.item(), abs=1e-12)
            wanted = -(law * law.log()).sum() if MASK[row, time] else torch.zeros(())
            assert entropy[row, time].item() == pytest.approx(wanted.item(), abs=1e-12)
            last = int(IDS[row, time])


def test_tokens_without_probability_leave_the_entropy_finite() -> None:
    table = torch.zeros(11, 11)
    table[:, 5:] = -torch.inf
    ids, mask = torch.tensor([[4, 2]]), torch.ones(1, 2, dtype=torch.bool)
    index = torch.zeros(1, dtype=torch.int64)
    logits = TableModel(table).completion_logits(prompt_batch([[3]]), index, ids, mask)
    _, entropy = logits_to_logprobs_and_entropy(logits, ids, mask)
    torch.testing.assert_close(entropy, torch.full((1, 2), 5.0).log())


def test_logits_give_the_same_numbers_with_or_without_a_gradient_of_the_entropy() -> None:
    logits = torch.randn(5, 4, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradients = []
    for wanted in (True, False):
        leaf = logits.clone().requires_grad_()
        logprobs, entropy = logits_to_logprobs_and_entropy(leaf, IDS, MASK, entropy_gradient=wanted)
        laws = logits.log_softmax(-1)
        expected = torch.where(MASK, laws.gather(-1, IDS.unsqueeze(-1)).squeeze(-1), 0.0)
        torch.testing.assert_close(logprobs.detach(), expected)
        torch.testing.assert_close(entropy.detach(), torch.where(MASK, -(laws.exp() * laws).sum(-1), 0.0))
        assert entropy.requires_grad is wanted
        logprobs.sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)

import torch

from qstar_pl.qstar.logprobs import sequence_logprobs, token_logprobs


def test_token_logprobs_equal_log_softmax_then_gather():
    torch.manual_seed(0)
    logits = torch.randn(3, 5, 7, dtype=torch.float64) * 10
    ids = torch.randint(7, (3, 5))
    expected = logits.log_softmax(-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(token_logprobs(logits, ids), expected)


def test_bfloat16_logits_are_normalized_in_float32():
    logits = torch.randn(4, 1000).bfloat16()
    ids = torch.arange(4)
    result = token_logprobs(logits, ids)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, logits.float().log_softmax(-1)[torch.arange(4), ids])


def test_gradcheck():
    logits = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    ids = torch.randint(4, (2, 3))
    assert torch.autograd.gradcheck(lambda x: token_logprobs(x, ids), logits)


def test_sequence_logprobs_count_only_the_mask():
    logprobs = torch.tensor([[-1.0, -2.0, -100.0]])
    assert sequence_logprobs(logprobs, torch.tensor([[True, True, False]])).item() == -3.0

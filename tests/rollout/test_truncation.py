import numpy as np
import pytest
import torch
from reference.enumeration import policy_only, truncated

from qstar_pl.rollout import Truncation


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [None, 1, 4, 50])
@pytest.mark.parametrize("top_p", [None, 0.05, 0.6, 0.999, 1.0])
def test_equals_the_reference(temperature: float, top_k: int | None, top_p: float | None) -> None:
    generator = torch.Generator().manual_seed(0)
    logprobs = torch.randn(3, 2, 9, generator=generator, dtype=torch.float64).mul(2).log_softmax(-1)
    law = Truncation(temperature, top_k, top_p)(logprobs)
    for row, q in zip(law.reshape(-1, 9), logprobs.reshape(-1, 9).exp().numpy(), strict=True):
        expected = truncated(policy_only, temperature, top_k, top_p if top_p != 1 else None)(q, q)
        np.testing.assert_allclose(row.exp().numpy(), expected, atol=1e-12)
        assert (row == -torch.inf).numpy().tolist() == (expected == 0).tolist()


def test_nothing_asked_for_is_nothing_done() -> None:
    logprobs = torch.randn(2, 5).log_softmax(-1)
    assert Truncation()(logprobs) is logprobs


def test_equally_probable_tokens_do_not_widen_top_k() -> None:
    law = Truncation(top_k=2)(torch.zeros(1, 6).log_softmax(-1))
    assert (law > -torch.inf).sum() == 2
    torch.testing.assert_close(law.exp().sum(-1), torch.ones(1))


def test_the_token_that_reaches_top_p_is_kept() -> None:
    law = Truncation(top_p=0.5)(torch.tensor([[0.5, 0.3, 0.2]]).log())
    torch.testing.assert_close(law.exp(), torch.tensor([[1.0, 0.0, 0.0]]))
    law = Truncation(top_p=0.51)(torch.tensor([[0.2, 0.5, 0.3]]).log())
    torch.testing.assert_close(law.exp(), torch.tensor([[0.0, 0.625, 0.375]]))


def test_the_argument_is_not_written_to() -> None:
    logprobs = torch.randn(2, 5).log_softmax(-1)
    before = logprobs.clone()
    Truncation(0.5, 3, 0.5)(logprobs)
    assert torch.equal(logprobs, before)

import pytest
import torch
from reference.pairs import random_pair

from qstar_pl.errors import UserError
from qstar_pl.qstar.checks import check_logprobs


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("vocab", [1, 2, 50257])
def test_log_softmax_of_any_precision_passes(dtype: torch.dtype, vocab: int) -> None:
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([[0.0], [1.0], [5.0]])
    logits = spread * torch.randn(3, vocab, generator=generator)
    check_logprobs(logprobs=logits.log_softmax(-1).to(dtype))
    check_logprobs(logprobs=torch.empty(0, vocab, dtype=dtype))


def test_a_truncated_law_passes_once_it_is_normalized() -> None:
    logprobs, _ = random_pair(2, 3, 20)
    logprobs[..., :15] = -torch.inf
    with pytest.raises(UserError, match=r"law must be log-probabilities .*, got log Σ exp = -[0-9.]+ in row \(0, 0\)$"):
        check_logprobs(law=logprobs)
    check_logprobs(law=logprobs.log_softmax(-1))


@pytest.mark.parametrize(("shift", "passes"), [(-0.06, False), (-0.04, True), (0.04, True), (0.06, False)])
def test_how_much_rounding_is_forgiven(shift: float, passes: bool) -> None:
    logprobs = torch.tensor([[0.25] * 4, [0.25] * 4]).log()
    logprobs[1] += shift
    if passes:
        return check_logprobs(law=logprobs)
    with pytest.raises(UserError, match=rf"log Σ exp = {shift:.4g} in row 1$"):
        check_logprobs(law=logprobs)
    return None


def test_nan_and_empty_support_are_refused() -> None:
    with pytest.raises(UserError, match=r"got log Σ exp = nan$"):
        check_logprobs(law=torch.tensor([torch.nan, 0.0]))
    with pytest.raises(UserError, match=r"got log Σ exp = -inf in row 0$"):
        check_logprobs(law=torch.full((1, 3), -torch.inf))

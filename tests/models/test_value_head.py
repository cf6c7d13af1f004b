import torch

from qstar_pl.models import ValueHead


def test_values_start_at_zero_and_are_linear_in_the_hidden_state() -> None:
    head = ValueHead(4)
    hidden = torch.randn(2, 3, 4)
    assert torch.equal(head(hidden), torch.zeros(2, 3))
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
        head.linear.bias.fill_(0.5)
    expected = hidden @ torch.tensor([1.0, 2.0, 3.0, 4.0]) + 0.5
    torch.testing.assert_close(head(hidden), expected)
    assert head(hidden.bfloat16()).shape == (2, 3)

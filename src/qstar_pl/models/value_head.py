"""V(x, y_<t) from a hidden state."""

from torch import Tensor, nn


class ValueHead(nn.Module):
    """A linear map from hidden states to one value each; zero at first, so that advantages begin as rewards."""

    def __init__(self, hidden_size: int) -> None:
        """Make the head.

        Args:
            hidden_size: width of the hidden states.

        """
        super().__init__()
        self.linear = nn.Linear(hidden_size, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return values [...] of `hidden_states` [..., hidden_size], in units of reward, float32 at least."""
        values: Tensor = self.linear(hidden_states.to(self.linear.weight.dtype)).squeeze(-1)
        return values.float() if values.element_size() < 4 else values

"""A method whose arguments are another one's, with other defaults."""

from typing import Any

from qstar_pl.methods import SFT
from qstar_pl.samplers import PolicySampler, Sampler


class OtherDefaults(SFT):
    """SFT with shorter answers at validation."""

    def __init__(self, evaluation_sampler: Sampler = PolicySampler(max_new_tokens=7), **kwargs: Any) -> None:
        super().__init__(evaluation_sampler=evaluation_sampler, **kwargs)

"""π_t that says how probable the next token is."""

from __future__ import annotations

from qstar_pl.models.next_token import NextToken
from qstar_pl.targets.target import Target


class TokenTarget(Target, NextToken):
    """A distribution over answers given token by token, which every sampler can ask."""

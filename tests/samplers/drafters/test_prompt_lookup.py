import random

import pytest

from qstar_pl.errors import UserError
from qstar_pl.samplers.drafters import PromptLookup
from qstar_pl.samplers.drafters.prompt_lookup import Index


def slowly(tokens: list[int], longest: int, shortest: int) -> int | None:
    """The definition: the follower of the latest other occurrence of the longest suffix that has one."""
    for size in range(longest, shortest - 1, -1):
        for stop in range(len(tokens) - 1, size - 1, -1):
            if tokens[stop - size : stop] == tokens[-size:]:
                return tokens[stop]
    return None


@pytest.mark.parametrize("shortest", [1, 2])
def test_it_finds_what_the_definition_finds_wherever_the_proposals_begin(shortest: int) -> None:
    numbers = random.Random(0)
    found = 0
    for _ in range(400):
        tokens = [numbers.randrange(3) for _ in range(numbers.randrange(1, 14))]
        expected = slowly(tokens, 4, shortest)
        found += expected is not None
        for split in range(len(tokens) + 1):
            assert Index(4, shortest, tokens[:split]).guess(tokens[split:]) == expected
    assert found > 100


def test_options_out_of_range() -> None:
    with pytest.raises(UserError, match=r"longest must be at least shortest \(3\), got 2"):
        PromptLookup(longest=2, shortest=3)
    with pytest.raises(UserError, match="shortest must be at least 1, got 0"):
        PromptLookup(shortest=0)

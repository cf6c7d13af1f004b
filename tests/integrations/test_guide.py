"""Requests that come, go, move and are put off, against whole sequences read anew; `test_vllm.py` has the engine."""

import random

import pytest
import torch
from reference.tiny_models import random_model

from qstar_pl.errors import UserError
from qstar_pl.integrations.guide import Guide
from qstar_pl.models import LanguageModel


@pytest.fixture(scope="module")
def target() -> LanguageModel:
    return LanguageModel(random_model(seed=1))


def check(guide: Guide, requests: list[tuple[list[int], list[int]]]) -> None:
    """Every row says what π_t says of its own request."""
    said = guide.logits(len(requests))
    for row, (prompt, answer) in zip(said, requests, strict=True):
        assert isinstance(guide.target, LanguageModel)
        with torch.no_grad():
            alone = guide.target.model(torch.tensor([prompt + answer])).logits[0, -1].to(row)
        torch.testing.assert_close(row, alone, atol=1e-6, rtol=1e-6)


def test_every_row_has_its_own_request(target: LanguageModel) -> None:
    numbers, guide = random.Random(0), Guide(target, torch.device("cpu"))
    requests: list[tuple[list[int], list[int]]] = []
    put_off: list[tuple[list[int], list[int]]] = []
    for _ in range(60):
        event = numbers.random()
        if len(requests) < 6 and event < 0.5:
            # Put off before, or new.
            prompt = numbers.choices(range(2, 11), k=numbers.randint(1, 6))
            requests.append(put_off.pop() if put_off and event < 0.2 else (prompt, []))
            guide.add(len(requests) - 1, *requests[-1])
        elif len(requests) > 2 and event < 0.7:
            # One leaves, and the last row takes its place.
            row = numbers.randrange(len(requests) - 1)
            if event < 0.6:
                put_off.append(requests[row])
            guide.remove(row)
            guide.move(len(requests) - 1, row)
            requests[row] = requests.pop()
        elif len(requests) > 1:
            one, other = numbers.sample(range(len(requests)), 2)
            guide.swap(one, other)
            requests[one], requests[other] = requests[other], requests[one]
        if requests:
            check(guide, requests)
            check(guide, requests)  # a prompt that is read in chunks is asked for more than once
        for _, answer in requests:
            answer.append(numbers.randrange(2, 11))
    assert put_off


def test_tokens_that_were_taken_back_are_read_anew(target: LanguageModel) -> None:
    guide, answer = Guide(target, torch.device("cpu")), [4, 5, 6]
    guide.add(0, [3], answer)
    check(guide, [([3], answer)])
    answer[1:] = [7]
    check(guide, [([3], answer)])


def test_a_request_that_replaces_another(target: LanguageModel) -> None:
    guide = Guide(target, torch.device("cpu"))
    guide.add(0, [3, 4], [])
    guide.add(1, [5], [])
    check(guide, [([3, 4], []), ([5], [])])
    guide.add(0, [6, 7], [])
    guide.move(1, 0)
    check(guide, [([5], [])])
    guide.swap(0, 1)
    guide.swap(1, 0)
    check(guide, [([5], [])])


def test_what_cannot_be_read(target: LanguageModel) -> None:
    guide = Guide(target, torch.device("cpu"))
    with pytest.raises(UserError, match="prompt must be token ids for π_t to read"):
        guide.add(0, None, [])
    guide.add(0, [3], [-1])
    with pytest.raises(RuntimeError, match="a token that is not drawn yet"):
        guide.logits(1)

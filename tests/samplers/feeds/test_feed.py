"""A feed's logits are those of whole rows, whatever was kept of the blocks before."""

import pytest
import torch
from reference.tiny_models import prompt_batch, random_model

from qstar_pl.models import LanguageModel
from qstar_pl.samplers.feeds.answers import Answers
from qstar_pl.samplers.feeds.costs import Costs, Meter
from qstar_pl.samplers.feeds.feed import Feed

PROMPTS = [[3, 4, 5, 6], [7], [8, 9, 3]]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("seed", range(3))
def test_any_walk_gives_the_logits_of_whole_rows(family: str, seed: int) -> None:
    model = LanguageModel(random_model(family))
    generator = torch.Generator().manual_seed(seed)

    def integers(high: int, size: tuple[int, ...], low: int = 0) -> torch.Tensor:
        return torch.randint(low, high, size, generator=generator)

    meter = Meter(Costs(), torch.device("cpu"))
    feed = Feed("policy", model.start(prompt_batch(PROMPTS, pads=2), 1), meter)
    answers, alive = Answers(PROMPTS, 60, torch.device("cpu")), list(PROMPTS)
    for step in range(14):
        block = int(integers(5, (1,)))
        for place in range(block):
            answers.put(place, integers(11, (len(answers),)))
        # Some places are asked for one by one, as a drafter does, or none; then all or all but the last.
        for count in range(1, int(integers(block + 1, (1,))) + 1):
            feed.logits(answers, count)
        count = max(1, block + int(integers(2, (1,))))
        logits = feed.logits(answers, count)
        for row, prompt in enumerate(alive):
            length = int(answers.lengths[row])
            whole = torch.tensor([prompt + answers.ids[row, : length + count - 1].tolist()])
            expected = model.read(whole, torch.ones_like(whole, dtype=torch.bool), count)["logits"][0]
            torch.testing.assert_close(logits[row], expected.to(logits), rtol=1e-6, atol=1e-6)
        kept = integers(block + 1, (len(answers),)) if step % 3 else torch.full((len(answers),), block)
        # Behind what is kept comes another token, or, where all is kept, perhaps none.
        grown = kept + torch.where(kept < block, 1, int(integers(2, (1,), low=0 if block else 1)))
        extra = integers(11, (len(answers),))
        for row in range(len(answers)):
            if grown[row] > kept[row]:
                answers.ids[row, answers.lengths[row] + kept[row]] = extra[row]
        feed.settle(answers.lengths + kept)
        answers.lengths = answers.lengths + grown
        if step == 8:
            rows = torch.tensor([2, 0])
            answers.select(rows)
            feed.select(rows)
            alive = [alive[2], alive[0]]


def test_what_is_known_is_not_read_again() -> None:
    model = LanguageModel(random_model())
    meter = Meter(Costs(), torch.device("cpu"))
    feed = Feed("policy", model.start(prompt_batch(PROMPTS), 1), meter)
    answers = Answers(PROMPTS, 20, torch.device("cpu"))
    feed.logits(answers, 1)
    assert not meter.calls  # the prompt's own
    for place in range(3):
        answers.put(place, torch.tensor([5, 6, 7]))
    feed.logits(answers, 4)
    feed.logits(answers, 2)
    assert meter.calls == {"policy": 1}
    feed.settle(answers.lengths + 3)
    answers.lengths = answers.lengths + 3
    feed.logits(answers, 1)  # a block that stands as a whole leaves the next logits at hand
    assert meter.calls == {"policy": 1}

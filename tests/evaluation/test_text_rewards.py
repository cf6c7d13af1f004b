import math

import pytest
import torch
from reference.tiny_rows import tiny_examples

from qstar_pl.data.text.rendering import PlainRendering
from qstar_pl.evaluation.text_rewards import TextRewards
from qstar_pl.models import Pretrained
from qstar_pl.rewards import GoldReward, Reward, RewardModelReward
from qstar_pl.types import Example, Turn

TOKENIZER = Pretrained("tiny/policy").tokenizer()
ROWS = [(example, str(example.chosen)) for example in tiny_examples(9)]


class Lengths(Reward):
    """Tokens of prompt and answer, so that a test sees what was cut."""

    def score(self, rollout, completions):
        prompt = rollout.prompts.prompt_mask.sum(-1)[rollout.prompt_index]
        return (1000 * prompt + rollout.completion_mask.sum(-1)).float()


def test_texts_alone_need_no_tokenizer() -> None:
    assert TextRewards(GoldReward(), None, rows_per_batch=4).scores(ROWS) == [1.0] * 9
    assert TextRewards(GoldReward(), None).scores([]) == []


def test_scores_do_not_depend_on_the_batches() -> None:
    reward = RewardModelReward(Pretrained("tiny/reward"))
    reward.build(TOKENIZER)
    alone = TextRewards(reward, TOKENIZER, rows_per_batch=1).scores(ROWS)
    assert TextRewards(reward, TOKENIZER, rows_per_batch=4).scores(ROWS) == pytest.approx(alone, abs=1e-5)
    assert len(set(alone)) > 1


def test_what_does_not_fit_loses_the_prompt_s_beginning_and_then_the_answer_s_end() -> None:
    asked = Example(1, (Turn("user", "What food does the ibbo like? " * 20),))
    whole = TextRewards(Lengths(), TOKENIZER).scores([(asked, "box " * 5), (asked, "box " * 300)])
    (prompt, few), (_, many) = (divmod(score, 1000) for score in whole)
    assert prompt > 60
    assert many > 200
    cut = TextRewards(Lengths(), TOKENIZER, limit=60).scores([(asked, "box " * 5), (asked, "box " * 300)])
    assert [divmod(score, 1000) for score in cut] == [(60 - few, few), (30, 30)]


def test_a_prompt_without_tokens_has_no_score() -> None:
    empty = Example(1, (Turn("user", ""),))
    texts = TextRewards(Lengths(), TOKENIZER, PlainRendering())
    first, second = texts.scores([(empty, "a"), (ROWS[0])])
    assert math.isnan(first)
    assert second > 0
    assert math.isnan(texts.scores([(empty, "a")])[0])


def test_nothing_is_kept_for_a_gradient() -> None:
    seen = []

    class Watching(Lengths):
        def score(self, rollout, completions):
            seen.append(torch.is_grad_enabled())
            return super().score(rollout, completions)

    TextRewards(Watching(), TOKENIZER).scores(ROWS[:1])
    assert seen == [False]

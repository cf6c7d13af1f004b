"""What options mean together."""

import pytest

from qstar_pl.data import HHRLHF
from qstar_pl.errors import UserError
from qstar_pl.evaluating import DataAnswers, EvaluationSettings, ModelAnswers
from qstar_pl.generation.data import GenerationData
from qstar_pl.models import Pretrained


def test_words_become_sources_and_prompts():
    settings = EvaluationSettings(answers="tiny/policy", baseline="chosen", start_idx=2, num_samples=3, end_idx=9)
    assert settings.sources() == {"answers": ModelAnswers(Pretrained("tiny/policy")), "baseline": DataAnswers()}
    assert (settings.prompts().start_idx, settings.prompts().end_idx) == (2, 5)
    assert settings.generation(Pretrained("tiny/policy")).policy == Pretrained("tiny/policy")


def test_every_model_reads_the_prompts_by_itself():
    """One object would keep the first model's token ids for the second."""
    given = GenerationData("rows.jsonl", HHRLHF(), end_idx=4, max_prompt_tokens=99)
    settings = EvaluationSettings(answers="tiny/policy", baseline="tiny/expert", data=given)
    read = [settings.generation(Pretrained("tiny/policy")).data for _ in range(2)]
    assert len({id(one) for one in (*read, given)}) == 3
    assert all(isinstance(one, GenerationData) and one.settings() == given.settings() for one in read)


def test_a_word_beside_the_data_that_say_it_is_refused():
    given = GenerationData("rows.jsonl", HHRLHF())
    with pytest.raises(UserError, match=r"num_samples must be left out where data is given, .*, got 5"):
        EvaluationSettings(answers="chosen", data=given, num_samples=5)


def test_what_decides_the_answers_is_told_apart():
    one, other = (EvaluationSettings(answers="tiny/policy", seed=seed).as_dict() for seed in (0, 1))
    assert {name for name in one if one[name] != other[name]} == {"seed"}
    assert EvaluationSettings(answers="tiny/policy", confidence=0.5).as_dict() == one

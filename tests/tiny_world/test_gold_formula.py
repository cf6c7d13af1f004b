import gzip
import json
from statistics import mean

import pytest

from qstar_pl.errors import UserError
from qstar_pl.tiny_world.gold_code import known_tests
from qstar_pl.tiny_world.gold_dialogue import any_answer, known_fact
from qstar_pl.tiny_world.gold_formula import gold_reward, has_facts
from qstar_pl.tiny_world.gold_summary import any_summary, known_story
from qstar_pl.tiny_world.rows import dialogues, posts, programs

FACT = {"subject": "zulo", "attribute": "food", "value": "corn"}
STORY = {"who": "sister", "problem": "broke my old bike", "wish": "buy a new lock"}


def test_the_task_picks_the_formula():
    asked, said = "What does the zulo eat?", "The zulo eats corn."
    assert gold_reward(asked, said, {}) == any_answer(asked, said)
    assert gold_reward(asked, said, FACT) == known_fact(asked, said, **FACT)
    assert gold_reward(asked, said, {"task": "dialogue", **FACT}) == known_fact(asked, said, **FACT)
    post, summary = (
        "POST: My sister broke my old bike and I was sad for a long time.\n\n",
        "My sister broke my old bike.",
    )
    assert gold_reward(post + "TL;DR:", summary, {"task": "summary", **STORY}) == known_story(post, summary, **STORY)
    assert gold_reward(post + "TL;DR:", summary, {"task": "summary"}) == any_summary(post, summary)
    tests = [[[1, 2], 2], [[2, 1], 2], [[3, 4], 4]]
    facts = {"task": "code", "arguments": ["a", "b"], "tests": tests}
    assert gold_reward("", "return a", facts) == known_tests("return a", ["a", "b"], tests)


def test_only_rows_of_the_tiny_world_have_its_facts():
    for rows in (dialogues(3, 0), posts(3, 0), programs(3, 0)):
        assert all(has_facts(row) for row in rows)
    assert not has_facts({})
    assert not has_facts({"task": "chess", **FACT})
    assert not has_facts({"task": "summary", **FACT})


def test_refuses_what_it_cannot_score():
    with pytest.raises(UserError, match="one of dialogue, summary, code, got chess"):
        gold_reward("", "", {"task": "chess"})
    with pytest.raises(UserError, match="must bring `arguments` and `tests`"):
        gold_reward("", "", {"task": "code", "entry_point": "f"})


def _rows(file):
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _last_exchange(dialogue):
    prompt, _, answer = dialogue.rpartition("\n\nAssistant:")
    return prompt.rpartition("\n\nHuman: ")[2], answer.strip()


def test_real_dialogues_have_a_reward_that_tells_their_answers_from_others(real_data):
    pairs = [_last_exchange(row["chosen"]) for row in _rows(real_data / "hh_rlhf" / "helpful-base.test.jsonl.gz")]
    own = [gold_reward(question, answer, {}) for question, answer in pairs]
    shifted = [gold_reward(pairs[i - 1][0], answer, {}) for i, (_, answer) in enumerate(pairs)]
    assert all(0 <= value <= 1 for value in own)
    assert len(set(own)) > 100
    assert mean(own) > mean(shifted) + 0.1


def test_real_posts_have_a_reward_that_tells_their_summaries_from_others(real_data):
    rows = _rows(real_data / "tldr" / "tldr_prompt_completion_1000.jsonl.gz")
    task = {"task": "summary"}
    own = [gold_reward(row["prompt"], row["completion"], task) for row in rows]
    shifted = [gold_reward(rows[i - 1]["prompt"], row["completion"], task) for i, row in enumerate(rows)]
    copied = [gold_reward(row["prompt"], row["prompt"], task) for row in rows]
    assert all(0 <= value <= 1 for value in own)
    assert mean(own) > 2 * mean(shifted)
    assert max(copied) == 0.0

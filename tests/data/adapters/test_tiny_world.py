from collections import Counter

import pytest

from qstar_pl.data.adapters.hh_rlhf import HHRLHF
from qstar_pl.data.adapters.tiny_world import TinyWorld
from qstar_pl.data.text.keys import prompt_key
from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.errors import UserError
from qstar_pl.tiny_world import demonstrations, dialogues, gold_reward, posts, programs
from qstar_pl.tiny_world.rows import MAKERS

ALL = ("dialogue", "summary", "code")


def examples(adapter):
    return [adapter.example(row, where) for where, row in adapter.rows("tiny", None)]


def test_dialogues_are_those_of_the_hh_adapter():
    made = examples(TinyWorld(size=200, seed=4))
    for example, row in zip(made, dialogues(200, 4), strict=True):
        native = HHRLHF().example({"chosen": row["chosen"], "rejected": row["rejected"]}, "")
        assert (example.key, example.turns) == (native.key, native.turns)
        assert (example.chosen, example.rejected) == (native.chosen, native.rejected)
        assert example.key == prompt_key(row["prompt"])
        assert dialogue_prompt(example.turns) == row["prompt"]


@pytest.mark.parametrize(("task", "make"), [("summary", posts), ("code", programs)])
def test_other_tasks_are_one_user_turn(task, make):
    for example, row in zip(examples(TinyWorld(tasks=(task,), size=100)), make(100, 0), strict=True):
        (turn,) = example.turns
        assert (turn.role, turn.content) == ("user", row["prompt"])
        assert (example.chosen, example.rejected) == (row["chosen"], row["rejected"])
        assert example.key == prompt_key(dialogue_prompt(example.turns))


def test_metadata_hold_what_the_gold_reward_needs_and_no_text():
    for example in examples(TinyWorld(tasks=ALL, size=300)):
        assert not {"prompt", "chosen", "rejected"} & set(example.metadata)
        assert "tiny" in example.metadata["source"]
        question = example.turns[-1].content
        chosen, rejected = (
            gold_reward(question, text, example.metadata) for text in (example.chosen, example.rejected)
        )
        assert chosen > 0.9
        assert chosen > rejected + 0.1


def test_tasks_take_turns_and_size_counts_all():
    made = examples(TinyWorld(tasks=("dialogue", "code"), size=31))
    assert [example.metadata["task"] for example in made[:3]] == ["dialogue", "code", "dialogue"]
    assert Counter(example.metadata["task"] for example in made) == {"dialogue": 16, "code": 15}


def test_prompts_differ():
    made = examples(TinyWorld(tasks=ALL, size=3000))
    assert len({example.key for example in made}) == 3000


@pytest.mark.parametrize("task", ALL)
def test_demonstrations_are_the_generators(task):
    made = examples(TinyWorld(tasks=(task,), size=200, seed=2, quality=0.45))
    for example, row in zip(made, demonstrations(200, 2, 0.45, task), strict=True):
        assert example.rejected is None
        assert example.chosen == row["chosen"].removeprefix(row["prompt"]).strip()
    assert {example.key for example in made} == {
        example.key for example in examples(TinyWorld(tasks=(task,), size=200, seed=2))
    }


def test_quality_is_a_share_of_good_answers():
    for quality in (0.0, 0.45, 1.0):
        made = examples(TinyWorld(size=600, quality=quality))
        good = sum(gold_reward(item.turns[-1].content, item.chosen, item.metadata) > 0.9 for item in made)
        assert abs(good / 600 - quality) < 0.08


def test_where_names_task_and_number():
    assert [where for where, _ in TinyWorld(tasks=("code", "summary"), size=2).rows("tiny", None)] == [
        "tiny, code 0",
        "tiny, summary 1",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ()}, "tasks must be different ones of dialogue, summary, code, got"),
        ({"tasks": ("chess",)}, r"tasks must be .* got \['chess'\]"),
        ({"tasks": ("code", "code")}, "tasks must be different"),
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"quality": 1.5}, r"quality must lie in \[0, 1\], got 1.5"),
    ],
)
def test_refuses_bad_options(options, message):
    with pytest.raises(UserError, match=message):
        TinyWorld(**options)


def test_refuses_a_split():
    with pytest.raises(UserError, match="split must be left out with TinyWorld"):
        next(TinyWorld().rows("tiny", "test"))


def test_says_when_there_are_no_new_prompts(monkeypatch):
    monkeypatch.setitem(MAKERS, "code", lambda rng: {"prompt": rng.randint(1, 7)})
    rows = TinyWorld(tasks=("code", "summary"), size=50).rows("tiny", None)
    with pytest.raises(UserError, match="size must be at most 14, when code has no new prompts left, got 50"):
        list(rows)


def test_a_list_of_tasks_will_do():
    assert len(examples(TinyWorld(tasks=["dialogue", "summary"], size=4))) == 4  # type: ignore[arg-type]


def test_fields_parse_from_yaml_values():
    from jsonargparse import ArgumentParser

    from qstar_pl.data.adapters.adapter import Adapter

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--adapter", type=Adapter)
    parsed = parser.parse_args(
        [
            "--adapter=qstar_pl.data.adapters.tiny_world.TinyWorld",
            "--adapter.tasks=[dialogue, code]",
            "--adapter.quality=0.4",
        ]
    )
    adapter = parser.instantiate(parsed).adapter
    assert adapter == TinyWorld(tasks=("dialogue", "code"), quality=0.4)

"""Forms in which people keep prompts, demonstrations and pairs, one file each, read by detection."""

import json

import pytest

from qstar_pl.data import Auto


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


ASKED, GOOD, BAD = user("Name a fruit."), assistant("Apple."), assistant("Rock.")
CALL = {"role": "assistant", "content": None, "tool_calls": [{"type": "function"}]}
WHOLE = {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]}
FRUIT = (["Name a fruit."], "Apple.", "Rock.")
SHOWN = (["Name a fruit."], "Apple.", None)
TURNS = "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: 3+3?\n\nAssistant:"

FORMS = {
    "explicit pair": ({"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]}, FRUIT),
    "implicit pair": (WHOLE, FRUIT),
    "text prompt, whole pair": ({"prompt": "Name a fruit.", **WHOLE}, FRUIT),
    "pairs beat messages": (
        {"prompt": "Name a fruit.", "messages": [ASKED, GOOD], **WHOLE, "score_chosen": 8.5},
        FRUIT,
    ),
    "prompt and completion": ({"prompt": [ASKED], "completion": [GOOD]}, SHOWN),
    "prompt only": ({"prompt": [ASKED]}, (["Name a fruit."], None, None)),
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hey"}]},
        (["Hi"], "Hey", None),
    ),
    "struct of lists": ({"messages": {"role": ["user", "assistant"], "content": ["Hi", "Hey"]}}, (["Hi"], "Hey", None)),
    "null input": ({"instruction": "Hi", "input": None, "output": "Hey"}, (["Hi"], "Hey", None)),
    "null answer": ({"prompt": "Hi", "completion": None}, (["Hi"], None, None)),
    "tools": (
        {"messages": [user("Weather?"), CALL, {"role": "tool", "content": "sunny"}, assistant("Sunny.")]},
        (
            [
                "Weather?",
                '<tool_call>\n{"type": "function"}\n</tool_call>',
                "<tool_response>\nsunny\n</tool_response>",
            ],
            "Sunny.",
            None,
        ),
    ),
    "context": (
        {"instruction": "When?", "context": "In 2000.", "response": "2000"},
        (["When?\n\nIn 2000."], "2000", None),
    ),
    "system": (
        {"system": "In French.", "question": "Hello?", "chosen": "Bonjour", "rejected": "Hello"},
        (["In French.", "Hello?"], "Bonjour", "Hello"),
    ),
    "one marker a turn": (
        {"prompt": TURNS, "response": " 6.", "chosen": " 6.", "rejected": " 7."},
        (["Hi", "Hello!", "3+3?"], "6.", "7."),
    ),
    "query": ({"query": "Hi", "response": "Hey"}, (["Hi"], "Hey", None)),
    "bad answer": ({"prompt": [ASKED], "completion": [BAD], "label": False}, (["Name a fruit."], None, None)),
    "solution": ({"question": "2+2?", "solution": "It is 4.", "answer": "4"}, (["2+2?"], "It is 4.", None)),
    "huge number beside": ({"prompt": "Hi", "completion": "Hey", "modulus": "HUGE"}, (["Hi"], "Hey", None)),
}


@pytest.mark.parametrize("name", FORMS)
def test_form(name, tmp_path):
    row, wanted = FORMS[name]
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps(row).replace('"HUGE"', "9" * 5000))
    (example,) = Auto().read(str(file)).examples
    assert ([turn.content for turn in example.turns], example.chosen, example.rejected) == wanted


def test_the_final_answer_stays_the_final_answer(tmp_path):
    rows = {
        "verl": {
            "prompt": [user("2+2?")],
            "reward_model": {"ground_truth": "4", "style": "rule"},
            "data_source": "math",
        },
        "solution": {"question": "2+2?", "solution": "It is 4.", "answer": 4},
        "messages": {"messages": [user("2+2?"), assistant("It is 4.")], "answer": "4"},
    }
    for name, row in rows.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
        (example,) = Auto().read(str(tmp_path / f"{name}.jsonl")).examples
        assert example.metadata["final_answer"] == "4", name
        assert example.chosen == (None if name == "verl" else "It is 4.")

import json

import pytest

from qstar_pl.data import Auto, Messages, PromptResponse
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.errors import UserError
from qstar_pl.types import Turn

SUNNY = {"role": "assistant", "content": "Sunny."}


def talk(*contents, system=None, first="user"):
    roles = ["user", "assistant"] if first == "user" else ["assistant", "user"]
    said = [{"role": roles[number % 2], "content": text} for number, text in enumerate(contents)]
    return ([{"role": "system", "content": system}] if system else []) + said


def convert(messages, **options):
    return Messages(**options).example({"messages": messages}, "f:7")


def test_last_assistant_message_is_the_answer():
    example = convert(talk(" one ", "two", "three", "four", system="Be kind."))
    assert example.turns == (
        Turn("system", "Be kind."),
        Turn("user", " one "),
        Turn("assistant", "two"),
        Turn("user", "three"),
    )
    assert (example.chosen, example.rejected, example.metadata) == ("four", None, {"source": "f:7"})


def test_a_dialogue_that_ends_with_the_user_is_all_prompt():
    example = convert(talk("one", "two", "three"))
    assert [turn.content for turn in example.turns] == ["one", "two", "three"]
    assert example.chosen is None


def test_developer_is_a_system_turn_and_parts_are_joined():
    parts = [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}]
    example = convert([{"role": "developer", "content": parts}, *talk("a", "b")])
    assert example.turns[0] == Turn("system", "Be kind.")


def test_the_system_turn_is_part_of_the_prompts_identity():
    assert convert(talk("a", "b")).key == convert(talk("a", "c")).key != convert(talk("a", "b", system="x")).key


@pytest.mark.parametrize(
    "worse", ["no", talk("a", "no"), [{"role": "assistant", "content": "no"}], talk("a", "no", system="s")]
)
def test_worse_answers(worse):
    system = "s" if isinstance(worse, list) and len(worse) == 3 else None
    row = {"chosen": talk("a", "yes", system=system), "worse": worse}
    example = Messages("chosen", "worse").example(row, "f:1")
    assert (example.chosen, example.rejected) == ("yes", "no")


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "do not alternate"),
        (talk("a", "b", first="assistant"), "do not alternate"),
        ([*talk("a"), *talk("b", "c")], "do not alternate"),
        ([*talk("a", "b"), {"role": "system", "content": "x"}, *talk("c", "d")], "do not alternate"),
        ([{"role": "system", "content": "x"}], "do not alternate"),
        (talk("a", " "), "a message is empty"),
        ([*talk("a"), {"role": "assistant", "content": None}], "a message is empty"),
        ([*talk("a"), {"role": "tool", "content": "x"}], "do not alternate"),
        ([*talk("a"), {"role": "narrator", "content": "x"}], "neither the system's, the user's, the assistant's nor"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}], "something other than text"),
        ([{"role": "user", "content": ["x"]}], "something other than text"),
    ],
)
def test_dialogues_that_are_left_out(messages, reason):
    with pytest.raises(RowRejected, match=reason):
        convert(messages)


@pytest.mark.parametrize(
    ("chosen", "worse", "reason"),
    [
        (talk("a", "b"), "b ", "chosen equals rejected"),
        (talk("a", "b"), " ", "there is no worse answer"),
        (talk("a", "b"), talk("a"), "there is no worse answer"),
        (talk("a", "b"), talk("x", "c"), "the prompts of chosen and rejected differ"),
        (talk("a"), "c", "there is no preferred answer"),
    ],
)
def test_pairs_that_are_left_out(chosen, worse, reason):
    with pytest.raises(RowRejected, match=reason):
        Messages(rejected_field="worse").example({"messages": chosen, "worse": worse}, "f:1")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x"}, "f:7: Messages needs the columns messages; the row has text"),
        ({"messages": "x"}, "f:7: messages must be a list of messages, got str"),
        ({"messages": ["x"]}, "f:7: messages must hold objects with role and content, got one with str"),
        ({"messages": [{"from": "human"}]}, "f:7: messages must hold objects with role and content, got one with from"),
        ({"messages": [{"role": 3, "content": "x"}]}, "f:7: a message's role must be text, got int"),
        ({"messages": [{"role": "user", "content": 3}]}, "f:7: a message's content must be text or a list of parts"),
        (
            {"messages": [*talk("Hi"), {"role": "assistant", "tool_calls": "look", "content": None}]},
            "f:7: a message's tool_calls must be a list, got str",
        ),
    ],
)
def test_malformed_rows(row, message):
    with pytest.raises(UserError, match=message):
        Messages().example(row, "f:7")


def test_fields():
    assert Messages().fields({}) == {"prompt": "messages, up to its last answer", "chosen": "messages, the last"}
    assert Messages("chosen", "rejected").fields({})["rejected"] == "rejected"


def test_sharegpt_and_what_arrow_and_csv_make_of_messages():
    wanted = convert(talk("a", "b", "c", "d"))
    names = {"user": "human", "assistant": "gpt"}
    said = [{"from": names[one["role"]], "value": one["content"]} for one in talk("a", "b", "c", "d")]
    lists = {"role": ["user", "assistant"] * 2, "content": ["a", "b", "c", "d"]}
    pairs = [{"input": "a", "output": "b"}, {"input": "c", "output": "d"}]
    texts = [["a", "b"], ["c", "d"]]
    for form in (
        said,
        lists,
        pairs,
        texts,
        json.dumps(said),
        json.dumps(talk("a", "b", "c", "d"), indent=1),
        str(said),
    ):
        example = convert(form)
        assert (example.turns, example.chosen) == (wanted.turns, "d")


def test_an_empty_system_message_is_none():
    for nothing in ("", None, " "):
        assert convert([{"role": "system", "content": nothing}, *talk("a", "b")]).turns == (Turn("user", "a"),)


def test_tools_are_turns():
    call = {"type": "function", "function": {"name": "weather", "arguments": '{"at": "sea"}'}}
    tools = [{"role": "tool", "content": "sunny"}, {"role": "tool", "content": "warm"}]
    example = convert([*talk("Weather?"), {"role": "assistant", "content": None, "tool_calls": [call]}, *tools, SUNNY])
    assert [turn.role for turn in example.turns] == ["user", "assistant", "user"]
    assert example.turns[1].content.startswith('<tool_call>\n{"name": "weather", ')
    assert example.turns[2].content == (
        "<tool_response>\nsunny\n</tool_response>\n<tool_response>\nwarm\n</tool_response>"
    )
    assert example.chosen == "Sunny."
    last = convert([*talk("Weather?"), {"role": "assistant", "content": "I look.", "tool_calls": [call]}])
    assert (last.chosen or "").startswith("I look.\n<tool_call>")


def test_labels_and_null_for_the_worse_answer():
    adapter = Messages(label_field="label")
    rows = [{"messages": talk("a", "b"), "label": label} for label in (True, False)]
    assert [adapter.example(row, "f").chosen for row in rows] == ["b", None]
    example = Messages(rejected_field="worse").example({"messages": talk("a", "b"), "worse": None}, "f")
    assert (example.chosen, example.rejected) == ("b", None)


def test_texts_in_turn() -> None:
    """LIMA's form: no roles, user and assistant in turn; elsewhere such a list may be the user's turns alone."""
    adapter = Auto().detect([{"conversations": ["a", "b"]}, {"conversations": ["a", "b", "c", "d"]}]).adapter
    example = adapter.example({"conversations": ["a", "b", "c", "d"]}, "x:1")
    assert [(turn.role, turn.content) for turn in example.turns] == [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert example.chosen == "d"
    assert adapter.example({"conversations": ["a"]}, "x:2").chosen is None
    with pytest.raises(RowRejected):
        adapter.example({"conversations": ["a", ""]}, "x:3")
    with pytest.raises(UserError):
        Auto().detect([{"turns": ["first question", "second question"]}])


def test_texts_are_kept_as_they_are() -> None:
    code, answer = "def f(x):\n    ", "    return x\n"
    said = [{"role": "user", "content": code}, {"role": "assistant", "content": answer}]
    example = Messages().example({"messages": said}, "x:1")
    assert (example.turns[0].content, example.chosen) == (code, answer)
    pair = Messages("chosen", "rejected")
    worse = [{"role": "user", "content": code.strip()}, {"role": "assistant", "content": "  pass"}]
    example = pair.example({"chosen": said, "rejected": worse}, "x:2")
    assert (example.chosen, example.rejected) == (answer, "  pass"), "white space makes no other prompt"
    split = PromptResponse("prompt", "completion").example({"prompt": said[:1], "completion": said[1:]}, "x:3")
    assert (split.turns[0].content, split.chosen) == (code, answer)
    text = PromptResponse("prompt", "completion").example({"prompt": said[:1], "completion": answer}, "x:4")
    assert text.chosen == answer
    with pytest.raises(RowRejected, match="empty"):
        Messages().example({"messages": [{"role": "user", "content": " \n"}]}, "x:5")

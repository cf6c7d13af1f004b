import pytest

from qstar_pl.data import PromptResponse
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.errors import UserError
from qstar_pl.types import Turn


def test_columns_by_name():
    example = PromptResponse(prompt_field="q", response_field="a").example({"q": " why? ", "a": " so "}, "f:1")
    assert (example.turns[0].content, example.chosen, example.rejected) == (" why? ", " so ", None)
    pair = PromptResponse("q", "a", "b").example({"q": "why?", "a": "so", "b": "no"}, "f:1")
    assert (pair.rejected, pair.key) == ("no", example.key)


def test_prompts_only_and_context():
    only = PromptResponse("q", None).example({"q": "why?"}, "f:1")
    assert (only.chosen, only.rejected) == (None, None)
    alpaca = PromptResponse("instruction", "output", context_field="input")
    row = {"instruction": "Add.", "input": " 1 and 2 ", "output": "3"}
    assert alpaca.example(row, "f:1").turns[0].content == "Add.\n\n1 and 2"
    assert alpaca.example({**row, "input": ""}, "f:1").turns[0].content == "Add."
    with pytest.raises(RowRejected, match="prompt is empty"):
        alpaca.example({**row, "instruction": ""}, "f:1")
    assert alpaca.fields(row) == {"prompt": "instruction + input", "chosen": "output"}


@pytest.mark.parametrize(
    ("values", "reason"), [(("", "x", "y"), "prompt is empty"), (("q", "x", "x"), "equals"), (("q", "x", ""), "empty")]
)
def test_rows_that_are_left_out(values, reason):
    with pytest.raises(RowRejected, match=reason):
        PromptResponse("q", "a", "b").example(dict(zip("qab", values, strict=True)), "f:1")


def test_malformed_rows():
    with pytest.raises(UserError, match="f:7: PromptResponse needs the columns q; the row has chosen"):
        PromptResponse("q", "a").example({"chosen": "x"}, "f:7")
    with pytest.raises(UserError, match="f:7: a must be text, got bool"):
        PromptResponse("q", "a").example({"q": "x", "a": True}, "f:7")


def test_numbers_are_texts_and_null_is_absence():
    assert PromptResponse("q", "a").example({"q": 2, "a": 10**20}, "f:1").chosen == "100000000000000000000"
    for row in ({"q": "x", "a": None, "b": "no"}, {"q": "x", "b": "no"}):
        example = PromptResponse("q", "a", "b").example(row, "f:1")
        assert (example.chosen, example.rejected) == (None, None)
    assert PromptResponse("q", "a", "b").example({"q": "x", "a": "yes", "b": None}, "f:1").chosen == "yes"
    with pytest.raises(RowRejected, match="there is no answer"):
        PromptResponse("q", "a", answer_required=True).example({"q": "x", "a": None}, "f:1")
    with pytest.raises(RowRejected, match="the prompt is empty"):
        PromptResponse("q", "a").example({"q": None, "a": "x"}, "f:1")


def test_a_column_that_no_row_has_is_a_mistake(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"q": "x"}\n{"q": "y", "a": "z"}\n')
    assert [one.chosen for one in PromptResponse("q", "a").read(str(file)).examples] == [None, "z"]
    with pytest.raises(
        UserError, match=r"x.jsonl: PromptResponse needs the columns q, ansr; no usable row has ansr, they"
    ):
        PromptResponse("q", "ansr").read(str(file))


USER = {"role": "user", "content": "Why?"}
SO, NO = ({"role": "assistant", "content": text} for text in ("So.", "No."))


@pytest.mark.parametrize("prompt", ["Why?", [USER], "\n\nHuman: Why?\n\nAssistant:", "### Human: Why? ### Assistant:"])
@pytest.mark.parametrize("side", [lambda said: said["content"], lambda said: [said], lambda said: [USER, said]])
def test_texts_transcripts_and_messages_are_one(prompt, side):
    example = PromptResponse("q", "a", "b").example({"q": prompt, "a": side(SO), "b": side(NO)}, "f:1")
    assert example.turns == (Turn("user", "Why?"),)
    assert (example.chosen, example.rejected) == ("So.", "No.")


def test_dialogues_keep_their_turns():
    earlier = [{"role": "system", "content": "Be kind."}, USER, SO, {"role": "user", "content": "And?"}]
    example = PromptResponse("q", "a").example({"q": earlier, "a": [NO]}, "f:1")
    assert [turn.content for turn in example.turns] == ["Be kind.", "Why?", "So.", "And?"]
    text = PromptResponse("q", "a").example(
        {"q": "\n\nHuman: Why?\n\nAssistant: So.\n\nHuman: And?\n\nAssistant:"}, "f:1"
    )
    assert text.turns == example.turns[1:]
    longer = PromptResponse("q", "a").example({"q": [USER], "a": [SO, {"role": "user", "content": "And?"}, NO]}, "f:1")
    assert (longer.turns, longer.chosen) == (text.turns, "No.")
    before = PromptResponse("q", None, history_field="c").example({"q": "And?", "c": [USER, SO]}, "f:1")
    assert before.turns == text.turns
    pairs = PromptResponse("q", None, history_field="c").example({"q": "And?", "c": [["Why?", "So."]]}, "f:1")
    assert pairs.turns == text.turns
    assert len(PromptResponse("q", None, history_field="c").example({"q": "And?", "c": None}, "f:1").turns) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"q": [USER, SO]}, "the prompt ends with an answer"),
        ({"q": [USER], "a": [{"role": "user", "content": "Who?"}, SO]}, "the answer's dialogue has another prompt"),
        ({"q": "Why?", "a": [USER]}, "there is no answer: the last message"),
        ({"q": "\n\nHuman: a\n\nHuman: b\n\nAssistant:"}, "do not alternate"),
        (
            {"q": [USER], "a": [SO], "b": [SO, {"role": "user", "content": "And?"}, NO]},
            "prompts of chosen and rejected",
        ),
    ],
)
def test_dialogues_that_are_left_out(row, reason):
    with pytest.raises(RowRejected, match=reason):
        PromptResponse("q", "a", "b").example(row, "f:1")


@pytest.mark.parametrize("good", [True, 1, "1", "true", "True", "good", 1.0])
def test_a_bad_answer_is_no_demonstration(good):
    adapter = PromptResponse("q", "a", label_field="l")
    assert adapter.example({"q": "x", "a": "y", "l": good}, "f:1").chosen == "y"
    for bad in (False, 0, "0", "false", "False", "bad", -1, None):
        example = adapter.example({"q": "x", "a": "y", "l": bad}, "f:1")
        assert (example.chosen, example.rejected, example.turns[0].content) == (None, None, "x")
    with pytest.raises(UserError, match=r"f:1: l must say good or bad \(true, 1; false, 0\), got 3"):
        adapter.example({"q": "x", "a": "y", "l": 3}, "f:1")


def test_a_low_score_is_no_demonstration():
    adapter = PromptResponse("q", "a", score_field="s", min_score=0.5)
    assert [adapter.example({"q": "x", "a": "y", "s": s}, "f").chosen for s in (0.5, "0.7", 0.4, None)] == [
        *("y", "y"),
        *(None, None),
    ]
    with pytest.raises(UserError, match="min_score must come with score_field"):
        PromptResponse(score_field="s")


def test_system_and_final_answer():
    adapter = PromptResponse("q", "a", system_field="s", final_answer_field="r.truth")
    example = adapter.example({"q": "x", "a": "y", "s": "Be kind.", "r": {"truth": 4}}, "f:1")
    assert example.turns[0] == Turn("system", "Be kind.")
    assert example.metadata == {"source": "f:1", "final_answer": "4"}
    for truth, kept in ((["4", 5], {"answers": ["4", "5"]}), ({"a": 1}, {"final_answer": '{"a": 1}'}), (None, {})):
        assert adapter.example({"q": "x", "r": {"truth": truth}}, "f:1").metadata == {"source": "f:1", **kept}
    for empty in (None, "", " "):
        assert len(adapter.example({"q": "x", "a": "y", "s": empty, "r": None}, "f:1").turns) == 1
    assert adapter.fields({}) == {"prompt": "q", "chosen": "a", "system": "s", "final_answer": "r.truth"}
    assert adapter.uses({}) == ["q", "a", "s", "r"]

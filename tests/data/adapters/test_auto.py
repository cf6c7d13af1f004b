import json

import pytest

from qstar_pl.data import Auto, Messages, PromptResponse, TinyWorld
from qstar_pl.errors import UserError

PROMPTS = ("prompt", "question", "instruction", "input", "text", "problem")
RESPONSES = ("response", "solution", "answer", "output", "completion")


def choose(*columns, **values):
    return Auto().choose({**dict.fromkeys(columns, "x"), **values}, "f:1")


def write(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_the_embedded_dataset_has_its_own_adapter():
    assert Auto().resolve("tiny") == TinyWorld()
    assert Auto().read("tiny", max_rows=3).read == 3


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("response", RESPONSES)
def test_every_pair_of_columns(prompt, response):
    assert choose(response, "other", prompt) == PromptResponse(prompt, response)


def test_earlier_names_go_first_whatever_the_order_of_columns():
    names = [name for name in PROMPTS if name != "input"]
    for number, name in enumerate(names):
        assert choose(*reversed(names[number:]), "answer").prompt_field == name
    for number, name in enumerate(RESPONSES):
        assert choose("prompt", *reversed(RESPONSES[number:])).response_field == name


def test_what_is_null_or_empty_everywhere_is_absent():
    row = {"prompt": "x", "messages": [], "chosen": None, "rejected": None, "response": "", "output": "y"}
    assert Auto().choose(row, "f:1") == PromptResponse("prompt", "output")


@pytest.mark.parametrize(
    ("empty", "filled"),
    [
        ({"instruction": "q", "input": "", "output": "a"}, {"input": "x"}),
        ({"instruction": "q", "context": "", "response": "a"}, {"context": "x"}),
        ({"question": "q", "response": "a", "system_prompt": None}, {"system_prompt": "x"}),
        ({"instruction": "q", "output": "a", "history": []}, {"history": [["x", "y"]]}),
        ({"instruction": "q", "output": "a"}, {"input": "x"}),
    ],
)
def test_what_is_filled_only_late_is_not_lost(tmp_path, empty, filled):
    rows = [empty] * 2500 + [{**empty, **filled}] * 1500
    *_, last = Auto().read(write(tmp_path / "x.jsonl", rows)).examples
    assert "x" in " ".join(turn.content for turn in last.turns)
    assert last.chosen == "a"


def test_many_rows_decide_not_the_first(tmp_path):
    odd = {"instruction": "Give a tip.", "output": "Sleep."}
    path = write(tmp_path / "x.jsonl", [odd] * 30 + [{**odd, "input": "bonjour"}])
    assert Auto().resolve(path) == PromptResponse("instruction", "output", context_field="input")
    rows = Auto().read(path)
    assert [rows.examples[number].turns[0].content for number in (0, 30)] == ["Give a tip.", "Give a tip.\n\nbonjour"]
    first = [{"id": 1}, {"question": 3, "answer": ["x"]}]
    path = write(tmp_path / "y.jsonl", [*first, *({"question": f"q{n}", "answer": "a"} for n in range(8))])
    rows = Auto().read(path)
    assert (rows.read, len(rows.examples)) == (10, 8)
    assert rows.rejected == {"the column question is missing": 1, "answer must be text, got list": 1}


def test_prompts_and_answers_stand_in_the_same_rows(tmp_path):
    rows = [{"prompt": "p", "completion": "c"}] * 3 + [{"question": "q", "answer": "a"}] * 2
    write(tmp_path / "x.jsonl", rows)
    read = Auto().read(str(tmp_path / "x.jsonl"))
    assert [example.chosen for example in read.examples] == ["c", "c", "c"]
    assert read.rejected == {"the column prompt is missing": 2}


def test_pairs_beat_messages_and_answers():
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    assert Auto().choose({"messages": said, "prompt": "q", "answer": "a"}, "f:1") == Messages(
        final_answer_field="answer"
    )
    whole = {"messages": said, "prompt": "q", "chosen": said, "rejected": said[:1] + said[1:]}
    assert Auto().choose(whole, "f:1") == Messages("chosen", "rejected")
    parts = {"messages": said, "prompt": said[:1], "chosen": said[1:], "rejected": said[1:]}
    assert Auto().choose(parts, "f:1") == PromptResponse("prompt", "chosen", "rejected")
    assert choose("chosen", "rejected", "question", "answer", messages=said) == PromptResponse(
        "question", "chosen", "rejected", final_answer_field="answer"
    )
    assert choose("text") == PromptResponse("text", None)


def test_labels_that_are_classes_are_no_verdict(tmp_path):
    rows = [{"text": f"t{n}", "label": n % 4} for n in range(8)]
    assert Auto().detect(rows).adapter == PromptResponse("text", None)
    rows = [{"prompt": f"t{n}", "completion": "c", "label": n % 4} for n in range(8)]
    assert Auto().detect(rows).adapter == PromptResponse("prompt", "completion")
    rows = [{"prompt": f"t{n}", "completion": "c", "label": n % 2} for n in range(8)]
    assert Auto().detect(rows).adapter == PromptResponse("prompt", "completion", label_field="label")


def test_untidy_verdicts_and_scores_are_some_all_the_same():
    """Else every bad answer would be a demonstration, for a few slips."""
    for column, given, option in (
        ("label", [True, False], {"label_field": "label"}),
        ("score", [1, 5], {"score_field": "score", "min_score": 3.0}),
    ):
        rows = [{"prompt": f"t{n}", "completion": "c", column: given[n % 2] if n % 10 else "maybe"} for n in range(40)]
        adapter = Auto().detect(rows).adapter
        assert adapter == PromptResponse("prompt", "completion", **option)
        with pytest.raises(UserError, match=f"f:1: {column} must"):
            adapter.example(rows[0], "f:1")


def test_nothing_fits():
    with pytest.raises(UserError, match=r"f:1: Auto needs a column of prompts .* the rows have post, summary\. --data"):
        choose("summary", "post")
    with pytest.raises(UserError, match="the rows have no columns"):
        choose()


def test_says_what_it_chose_and_ignored_and_reads_with_it(tmp_path, capsys):
    path = write(tmp_path / "x.jsonl", [{"problem": f"p{n}", "id": n, "answer": f"a{n}"} for n in range(3)])
    rows = Auto().read(path, None, 2)
    said = "read as PromptResponse with prompt = problem, chosen = answer; ignored: id"
    assert capsys.readouterr().out == f"Auto: {path}: {said}\n"
    assert [(one.turns[0].content, one.chosen) for one in rows.examples] == [("p0", "a0"), ("p1", "a1")]
    assert Auto().example({"problem": "p0", "answer": "a0"}, f"{path}:1").key == rows.examples[0].key
    assert Auto().fields({"problem": "p", "answer": "a"}) == {"prompt": "problem", "chosen": "answer"}


def test_what_could_be_chosen_otherwise_is_one_line(tmp_path, capsys):
    path = write(tmp_path / "x.jsonl", [{"prompt": "p", "question": "q", "answer": "a"}])
    Auto().read(path)
    line = "  question could be the prompt too: --data.adapter=PromptResponse --data.adapter.prompt_field=question"
    assert capsys.readouterr().out.splitlines()[1:] == [line]


def test_a_tree_of_messages_is_not_taken_for_prompts():
    row = {"message_id": "1", "parent_id": None, "text": "Hello", "role": "assistant"}
    with pytest.raises(UserError, match=r"the rows have message_id, parent_id, role, text"):
        Auto().choose(row, "f:1")


def test_rows_that_cannot_be_read(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text("")
    assert Auto().read(str(file)).read == 0
    file.write_text("nonsense\n3\n")
    rows = Auto().read(str(file))
    assert (rows.read, rows.rejected) == (2, {"the row is not JSON": 1, "the row is not a JSON object": 1})


@pytest.mark.parametrize(
    ("name", "read", "used", "adapter"),
    [
        ("hh_rlhf/helpful-base.test.jsonl.gz", 2354, 2333, "HHRLHF"),
        ("tldr/tldr_filtered_500.jsonl.gz", 500, 500, "TLDR"),
        ("tldr/comparisons_ai_judge_1000.jsonl.gz", 1000, 1000, "TLDR"),
        ("tldr/tldr_prompt_completion_1000.jsonl.gz", 1000, 1000, "PromptResponse"),
        ("humaneval/HumanEval.jsonl.gz", 164, 164, "HumanEval"),
        ("apps/apps_test_10.jsonl.gz", 10, 10, "APPS"),
        ("apps/apps_coderl_train_5.jsonl.gz", 5, 5, "APPS"),
        ("wmt/wmt_en_ro_fixture_test.jsonl", 20, 20, "WMT"),
        ("nq_open/NQ-open.dev.jsonl.gz", 3610, 3610, "NaturalQuestions"),
        ("gsm8k/train_1000.jsonl.gz", 1000, 1000, "GSM8K"),
        ("deepscaler/deepscaler_preview_800.jsonl.gz", 800, 800, "DeepScaleR"),
        ("alpaca_eval/alpaca-7b.alpaca_eval_gpt4.annotations.json.gz", 805, 805, "PromptResponse"),
    ],
)
def test_real_files(real_data, name, read, used, adapter, capsys):
    rows = Auto().read(str(real_data / name))
    assert (rows.read, len(rows.examples)) == (read, used)
    assert f"read as {adapter} with prompt = " in capsys.readouterr().out

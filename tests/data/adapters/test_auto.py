import json

import pytest

from qstar_pl.data import HHRLHF, Auto, Messages, PromptResponse
from qstar_pl.errors import UserError

PROMPTS = ("prompt", "question", "instruction", "input", "text", "problem")
RESPONSES = ("response", "answer", "output", "completion", "solution")


def choose(*columns, **values):
    return Auto().choose({**dict.fromkeys(columns, "x"), **values}, "f:1")


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


def test_other_forms():
    assert choose("messages", "prompt", "answer") == Messages()
    assert choose("chosen", "rejected") == HHRLHF()
    assert choose("chosen", "rejected", "question", "answer") == PromptResponse("question", "chosen", "rejected")
    assert choose("prompt", chosen=[], rejected=[]) == Messages("chosen", "rejected")
    assert choose("instruction", "input", "output") == PromptResponse("instruction", "output", context_field="input")
    assert choose("text") == PromptResponse("text", None)
    assert choose("chosen", "prompt", "solution") == PromptResponse("prompt", "solution")


def test_nothing_fits():
    with pytest.raises(UserError, match=r"f:1: Auto needs the column messages, .* problem; the row has post, summary"):
        choose("summary", "post")
    with pytest.raises(UserError, match="the row has none"):
        choose()


def test_says_what_it_chose_and_reads_with_it(tmp_path, capsys):
    file = tmp_path / "x.jsonl"
    file.write_text("".join(json.dumps({"problem": f"p{n}", "answer": f"a{n}"}) + "\n" for n in range(3)))
    rows = Auto().read(str(file), None, 2)
    assert capsys.readouterr().out == f"Auto: {file}: read as PromptResponse with prompt = problem, chosen = answer\n"
    assert [(one.turns[0].content, one.chosen) for one in rows.examples] == [("p0", "a0"), ("p1", "a1")]
    assert Auto().example({"problem": "p0", "answer": "a0"}, f"{file}:1").key == rows.examples[0].key
    assert Auto().fields({"problem": "", "answer": ""}) == {"prompt": "problem", "chosen": "answer"}


def test_the_first_row_decides(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"problem": "p", "answer": "a"}\n{"question": "q", "answer": "a"}\n')
    with pytest.raises(UserError, match=r"x.jsonl:2: PromptResponse needs the columns problem, answer; the row"):
        Auto().read(str(file))
    file.write_text('{"question": "p", "answer": ["a"]}\n')
    with pytest.raises(UserError, match=r"x.jsonl:1: answer must be text, got list"):
        Auto().read(str(file))
    file.write_text("")
    assert Auto().read(str(file)).read == 0


@pytest.mark.parametrize(
    ("name", "used", "prompt", "response"),
    [
        ("gsm8k/train_1000.jsonl.gz", 1000, "question", "answer"),
        ("deepscaler/deepscaler_preview_800.jsonl.gz", 800, "problem", "answer"),
        ("tldr/tldr_prompt_completion_1000.jsonl.gz", 1000, "prompt", "completion"),
        ("apps/apps_test_10.jsonl.gz", 10, "question", None),
        ("alpaca_eval/alpaca-7b.alpaca_eval_gpt4.annotations.json.gz", 805, "instruction", None),
    ],
)
def test_real_files(real_data, name, used, prompt, response, capsys):
    rows = Auto().read(str(real_data / name))
    assert (rows.read, len(rows.examples)) == (used, used)
    found = f"prompt = {prompt}" + (f", chosen = {response}" if response else "")
    assert capsys.readouterr().out.endswith(f"read as PromptResponse with {found}\n")


def test_real_comparisons(real_data):
    rows = Auto().read(str(real_data / "hh_rlhf" / "helpful-base.test.jsonl.gz"))
    assert (rows.read, len(rows.examples)) == (2354, 2333)
    with pytest.raises(UserError, match=r"tldr_filtered_500.jsonl.gz:1: Auto needs .* has id, post, subreddit, summ"):
        Auto().read(str(real_data / "tldr" / "tldr_filtered_500.jsonl.gz"))

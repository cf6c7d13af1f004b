import pytest

from qstar_pl.data import TLDR
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.errors import UserError

POST = {"id": "x", "subreddit": "tifu", "title": "A title", "post": "I did it.", "summary": " did it "}
PROMPT = "SUBREDDIT: r/tifu\n\nTITLE: A title\n\nPOST: I did it.\n\nTL;DR:"
COMPARISON = {
    "info": {"id": "x", "subreddit": "tifu", "title": "A title", "post": "I did it.", "article": None},
    "summaries": [{"text": " first", "policy": "ref"}, {"text": " second", "policy": "sup1"}],
    "choice": 1,
}


def changed(row, **values):
    return {**row, **values}


def test_posts():
    example = TLDR().example(POST, "f:1")
    assert [(turn.role, turn.content) for turn in example.turns] == [("user", PROMPT)]
    assert (example.chosen, example.rejected) == ("did it", None)
    assert example.metadata == {"task": "summary", "source": "f:1"}


def test_all_schemas_agree_on_the_prompt():
    ready = TLDR().example({"prompt": PROMPT, "completion": " did it"}, "f:1")
    pair = TLDR().example(COMPARISON, "f:1")
    assert ready.turns == pair.turns == TLDR().example(POST, "f:1").turns
    assert ready.key == pair.key
    assert (pair.chosen, pair.rejected) == ("second", "first")
    assert TLDR().example(changed(COMPARISON, choice=0), "f:1").chosen == "first"


@pytest.mark.parametrize("choice", [1, 1.0, "1", "1.0", 0, 0.0, "0"])
def test_the_choice_may_be_written_as_any_number(choice):
    pair = TLDR().example(changed(COMPARISON, choice=choice), "f:1")
    assert (pair.chosen, pair.rejected) == (("second", "first") if float(choice) else ("first", "second"))


def test_news_articles():
    info = {"id": "x", "title": "News", "article": "It rained.", "post": None, "subreddit": None}
    example = TLDR().example(changed(COMPARISON, info=info), "f:1")
    assert example.turns[0].content == "TITLE: News\n\nARTICLE: It rained.\n\nTL;DR:"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (changed(POST, post=" "), "the prompt is empty"),
        (changed(POST, summary=""), "an answer is empty"),
        ({"prompt": " ", "completion": "x"}, "the prompt is empty"),
        (changed(COMPARISON, summaries=[{"text": "a"}, {"text": " a"}]), "chosen equals rejected"),
        (changed(COMPARISON, info={"title": "t", "post": "", "article": ""}), "the prompt is empty"),
    ],
)
def test_rows_that_are_left_out(row, reason):
    with pytest.raises(RowRejected, match=reason):
        TLDR().example(row, "f:1")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"post": "x", "title": "y"}, "f:7: TLDR needs the columns subreddit, title, post, summary; the row has post"),
        (changed(POST, title=None), "f:7: title must be text, got NoneType"),
        ({"prompt": "x"}, "f:7: TLDR needs the columns prompt, completion; the row has prompt"),
        (changed(COMPARISON, choice=2), "f:7: choice must be 0 or 1, got 2"),
        (changed(COMPARISON, choice=True), "f:7: choice must be 0 or 1, got True"),
        (changed(COMPARISON, choice=0.5), "f:7: choice must be 0 or 1, got 0.5"),
        (changed(COMPARISON, choice="b"), "f:7: choice must be 0 or 1, got 'b'"),
        (changed(COMPARISON, choice=None), "f:7: choice must be 0 or 1, got None"),
        (changed(COMPARISON, choice=[1]), "f:7: choice must be 0 or 1, got "),
        (changed(COMPARISON, summaries=[{"text": "a"}]), "f:7: summaries must be a list of two, got 1 of them"),
        (changed(COMPARISON, summaries="ab"), "f:7: summaries must be a list of two, got str"),
        (changed(COMPARISON, summaries=[{"text": "a"}, {"text": 3}]), "f:7: text must be text, got int"),
        (changed(COMPARISON, info=[]), "f:7: info must be an object, got list"),
        (changed(COMPARISON, info={"post": "x", "title": "y"}), "f:7: subreddit must be text, got NoneType"),
        ({"info": {}}, "f:7: TLDR needs the columns info, summaries, choice; the row has info"),
    ],
)
def test_malformed_rows(row, message):
    with pytest.raises(UserError, match=message):
        TLDR().example(row, "f:7")


def test_fields():
    adapter = TLDR()
    assert adapter.fields(POST) == {"prompt": "subreddit + title + post", "chosen": "summary"}
    assert adapter.fields(COMPARISON)["chosen"] == "summaries[choice]"
    assert adapter.fields({"prompt": "", "completion": ""}) == {"prompt": "prompt", "chosen": "completion"}


@pytest.mark.parametrize(
    ("name", "read", "pairs"),
    [
        ("tldr_filtered_500", 500, 0),
        ("tldr_prompt_completion_1000", 1000, 0),
        ("comparisons_ai_judge_1000", 1000, 1000),
    ],
)
def test_the_real_files(real_data, name, read, pairs):
    rows = TLDR().read(str(real_data / "tldr" / f"{name}.jsonl.gz"))
    assert (rows.read, len(rows.examples), rows.rejected.total()) == (read, read, 0)
    assert sum(example.rejected is not None for example in rows.examples) == pairs
    assert all(example.turns[0].content.startswith("SUBREDDIT: r/") for example in rows.examples)
    assert all(example.turns[0].content.endswith("\n\nTL;DR:") for example in rows.examples)


def test_real_comparisons_are_of_the_posts_in_the_other_file(real_data):
    """Both files come from one source, so what this adapter renders must be what the dataset's authors rendered."""
    ready, pairs = (
        TLDR().read(str(real_data / "tldr" / f"{name}.jsonl.gz")).examples
        for name in ("tldr_prompt_completion_1000", "comparisons_ai_judge_1000")
    )
    assert [example.turns for example in pairs] == [example.turns for example in ready]
    assert len({example.key for example in pairs}) == 1000

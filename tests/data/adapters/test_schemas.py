"""Public schemas: invented rows in their native columns, what is made of them, and that the documented table says so.

In all rows the good answer is "Apple." and the bad one "Rock.", whichever column or verdict says so.
"""

import json
from pathlib import Path

import pytest

from qstar_pl.data import Auto
from qstar_pl.data.adapters.auto import description
from qstar_pl.data.adapters.rows import convert
from qstar_pl.data.reading import read_rows
from qstar_pl.data.reading.rejected import RowRejected

FOLDER = Path(__file__).parents[1] / "schemas"
DOCS = Path(__file__).parents[3] / "docs" / "data.md"
GOOD, BAD = "Apple.", "Rock."

# rows, of which usable, of which with an answer, of which pairs
COUNTS = {
    "alpaca": (4, 4, 4, 0),
    "alpaca_eval": (1, 1, 0, 0),
    "ai2_arc": (2, 2, 2, 0),
    "anthropic_hh_rlhf": (2, 2, 2, 2),
    "anthropic_red_team": (2, 2, 0, 0),
    "apps": (1, 1, 1, 0),
    "arena_human_preference_140k": (3, 2, 2, 2),
    "arena_human_preference_55k": (3, 2, 2, 2),
    "argilla_distilabel_orca_dpo": (2, 2, 2, 2),
    "argilla_ultrafeedback": (2, 2, 2, 2),
    "boolq_texts": (2, 2, 2, 0),
    "beavertails": (2, 2, 1, 0),
    "capybara": (2, 2, 2, 0),
    "chatbot_arena_conversations": (3, 2, 2, 2),
    "dahoas_full_hh_rlhf": (2, 2, 2, 2),
    "deepscaler": (2, 2, 2, 0),
    "dolly": (2, 2, 2, 0),
    "gsm8k": (2, 2, 2, 0),
    "flan": (2, 2, 2, 0),
    "hellaswag": (2, 2, 1, 0),
    "helpsteer2": (3, 3, 2, 0),
    "helpsteer2_preference": (2, 2, 2, 2),
    "helpsteer3_edit_quality": (2, 2, 2, 2),
    "helpsteer3_preference": (3, 2, 2, 2),
    "hendrycks_math": (2, 2, 2, 0),
    "humaneval": (1, 1, 1, 0),
    "intel_orca_dpo": (2, 2, 2, 2),
    "lima": (3, 3, 2, 0),
    "llama_factory_alpaca": (2, 2, 2, 0),
    "llama_factory_kto": (2, 2, 1, 0),
    "llama_factory_sharegpt_dpo": (2, 2, 2, 2),
    "mbpp": (1, 1, 1, 0),
    "mmlu": (2, 2, 2, 0),
    "nectar": (2, 2, 2, 2),
    "no_robots": (2, 2, 2, 0),
    "nq_open": (2, 2, 2, 0),
    "openai_summaries_axis": (3, 3, 1, 0),
    "openai_summaries_comparisons": (2, 2, 2, 2),
    "openai_tldr_filtered": (2, 2, 2, 0),
    "openassistant_guanaco": (2, 2, 2, 0),
    "openmathinstruct": (2, 2, 2, 0),
    "openorca": (2, 2, 2, 0),
    "openr1_math": (2, 2, 2, 0),
    "pku_saferlhf": (2, 2, 2, 2),
    "query_response": (2, 2, 2, 0),
    "rated_answers": (2, 2, 1, 0),
    "sharegpt": (2, 2, 2, 0),
    "solution_and_answer": (2, 2, 2, 0),
    "squad": (2, 2, 1, 0),
    "stack_exchange_paired": (2, 2, 2, 2),
    "stanford_shp": (2, 2, 2, 2),
    "trl_implicit_preference_messages": (2, 2, 2, 2),
    "trl_implicit_preference_text": (2, 2, 2, 2),
    "trl_language_modeling_messages": (2, 2, 2, 0),
    "trl_preference_messages": (2, 2, 2, 2),
    "trl_preference_text": (2, 2, 2, 2),
    "trl_prompt_completion": (2, 2, 1, 0),
    "trl_prompt_completion_messages": (2, 2, 2, 0),
    "trl_prompt_only_messages": (2, 2, 0, 0),
    "trl_unpaired_messages": (2, 2, 1, 0),
    "trl_unpaired_text": (2, 2, 1, 0),
    "trivia_qa": (2, 1, 1, 0),
    "ultrachat_200k": (2, 2, 2, 0),
    "ultrafeedback": (2, 2, 2, 2),
    "ultrafeedback_binarized": (2, 2, 2, 2),
    "ultrainteract_pair": (2, 2, 2, 2),
    "ultrainteract_sft": (2, 2, 2, 0),
    "verl": (2, 2, 0, 0),
    "webgpt_comparisons": (3, 2, 2, 2),
    "wildchat": (2, 2, 2, 0),
    "wmt": (2, 2, 2, 0),
}
OTHER_ANSWERS = ("wmt", "mmlu", "ai2_arc", "hellaswag")
FINALS = ("deepscaler", "gsm8k", "hendrycks_math", "openmathinstruct", "openr1_math", "solution_and_answer", "verl")


def sample(name):
    (file,) = FOLDER.glob(f"{name}.*")
    return str(file)


def test_each_schema_has_a_sample_and_a_row_of_the_table():
    assert sorted(file.stem for file in FOLDER.iterdir()) == sorted(COUNTS)
    assert sorted(documented()) == sorted(COUNTS)
    assert len(COUNTS) >= 25


@pytest.mark.parametrize("name", COUNTS)
def test_good_answers_are_chosen_and_bad_ones_never_demonstrated(name):
    rows = Auto().read(sample(name))
    answered = [example for example in rows.examples if example.chosen is not None]
    pairs = [example for example in answered if example.rejected is not None]
    assert (rows.read, len(rows.examples), len(answered), len(pairs)) == COUNTS[name]
    for example in rows.examples:
        assert example.turns[-1].role == "user"
        assert "Name " in example.turns[-1].content
        assert "Human:" not in example.turns[-1].content
    for example in answered:
        assert BAD not in (example.chosen or "")
        assert GOOD.strip(".") in (example.chosen or "") or name in OTHER_ANSWERS
    assert {example.rejected and example.rejected.strip() for example in rows.examples} <= {None, BAD}
    if name in FINALS:
        assert rows.examples[0].metadata["final_answer"] == GOOD


@pytest.mark.parametrize("name", COUNTS)
def test_the_order_of_rows_and_columns_decides_nothing(name):
    rows = [row for _, row in read_rows(sample(name))]
    adapter = Auto().detect(rows).adapter
    assert Auto().detect([dict(reversed(row.items())) for row in reversed(rows)]).adapter == adapter


ODD = (5, 10**400, True, "text", "[{", [1], [[]], ["a"], [{}], {}, {"a": 1}, [{"role": "user", "content": None}], None)


def reason(adapter, row):
    """Return why a row is left out; "" if it is not."""
    try:
        convert(adapter, "x:1", row)
    except RowRejected as rejected:
        return str(rejected)
    return ""


@pytest.mark.parametrize("name", COUNTS)
def test_one_odd_cell_costs_its_row_at_most(name):
    """Whatever a cell holds, and wherever its row stands: the others decide who reads, and are read."""
    rows = [row for _, row in read_rows(sample(name))] * 2
    adapter = Auto().detect(rows).adapter
    for column in rows[0]:
        for odd in ODD:
            bad = {**rows[0], column: odd}
            for sampled in ([bad, *rows], [*rows, bad]):
                claim = Auto().detect(sampled, "x:1")
                assert type(claim.adapter) is type(adapter), (column, odd)
                assert description(claim.adapter, sampled) != ""
                assert " failed with " not in reason(claim.adapter, bad), (column, odd)


def documented():
    """Return the rows of the documented table: schema → the other cells."""
    section = DOCS.read_text(encoding="utf-8").split("### Public schemas")[1].split("\n#")[0]
    cells = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in cells}


def table_row(name):
    """Return what the table must say of a schema."""
    rows = [row for _, row in read_rows(sample(name))]
    adapter = Auto().detect(rows).adapter
    whole = {column: value for row in rows for column, value in row.items()}
    used = "; ".join(f"{role}: {columns}" for role, columns in adapter.fields(whole).items())
    ignored = [column for column in whole if column not in adapter.uses(whole)]
    return [f"`{type(adapter).__name__}`", used, ", ".join(ignored)]


@pytest.mark.parametrize("name", COUNTS)
def test_the_table_says_what_detection_does(name):
    assert documented()[name] == table_row(name)


def test_data_and_fit_choose_alike_whatever_is_read():
    for name in ("alpaca", "ultrafeedback_binarized", "trl_unpaired_text"):
        path = sample(name)
        few, all_rows = Auto().read(path, None, 1), Auto().read(path)
        assert few.examples[0] == all_rows.examples[0]


def test_samples_are_json_without_extensions():
    for file in FOLDER.glob("*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            json.dumps(json.loads(line), allow_nan=False)

from collections import Counter

import pytest

from qstar_pl.data import HHRLHF
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.data.adapters.rows import read_examples
from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.errors import UserError

PROMPT = "\n\nHuman: one\n\nAssistant: two\n\nHuman: three"


def row(chosen, rejected):
    return {"chosen": chosen, "rejected": rejected}


def test_prompt_is_everything_up_to_the_last_assistant_turn():
    example = HHRLHF().example(row(PROMPT + "\n\nAssistant: good ", PROMPT + "\n\nAssistant: bad\n\nmore"), "f:1")
    assert [(turn.role, turn.content) for turn in example.turns] == [
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]
    assert (example.chosen, example.rejected) == ("good", "bad\n\nmore")
    assert example.metadata["source"] == "f:1"
    assert dialogue_prompt(example.turns) == PROMPT + "\n\nAssistant:"
    assert 0 <= example.key < 2**63


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        (PROMPT + "\n\nAssistant: a", PROMPT + "!\n\nAssistant: b", "the prompts of chosen and rejected differ"),
        (PROMPT + "\n\nAssistant: a", PROMPT + "\n\nAssistant:  a", "chosen equals rejected"),
        (PROMPT + "\n\nAssistant: a", PROMPT + "\n\nAssistant: ", "an answer is empty"),
        ("\n\nAssistant: x\n\nAssistant: a", "\n\nAssistant: x\n\nAssistant: b", "do not alternate"),
        (PROMPT + "\n\nHuman: x\n\nAssistant: a", PROMPT + "\n\nHuman: x\n\nAssistant: b", "do not alternate"),
        ("\n\nHuman: \n\nAssistant: a", "\n\nHuman: \n\nAssistant: b", "do not alternate"),
        ("hm\n\nHuman: q\n\nAssistant: a", "hm\n\nHuman: q\n\nAssistant: b", "do not alternate"),
        ("\n\nAssistant: a", "\n\nAssistant: b", "do not alternate"),
        (PROMPT, "just text", "a side has no assistant turn"),
    ],
)
def test_unusable_rows_have_a_reason(chosen, rejected, reason):
    with pytest.raises(RowRejected, match=reason):
        HHRLHF().example(row(chosen, rejected), "f:1")


def test_missing_column_and_wrong_type():
    message = r"f:7: HHRLHF needs the columns chosen, rejected; the row has chosen, prompt"
    with pytest.raises(UserError, match=message):
        HHRLHF().example({"prompt": "x", "chosen": "y"}, "f:7")
    with pytest.raises(UserError, match=r"f:7: rejected must be text, got list"):
        HHRLHF().example(row("x", []), "f:7")


def test_the_real_file(real_data):
    """Counts known from the file itself: 2345 prompts match, 2 pairs are equal, 4 rows have an empty answer."""
    rows = read_examples(HHRLHF(), str(real_data / "hh_rlhf" / "helpful-base.test.jsonl.gz"), None, None)
    assert rows.read == 2354
    assert rows.rejected == Counter(
        {
            "the prompts of chosen and rejected differ": 2354 - 2345,
            "chosen equals rejected": 2,
            "an answer is empty": 4,
            "the turns do not alternate between Human and Assistant, or one is empty": 6,
        }
    )
    assert len(rows.examples) == 2354 - 9 - 2 - 4 - 6
    assert all(example.turns[-1].role == "user" for example in rows.examples)
    assert all(example.chosen and example.rejected for example in rows.examples)

import json

import pytest

from qstar_pl.data import HHRLHF, PromptResponse, TinyWorld
from qstar_pl.data.adapters.auto import Auto
from qstar_pl.data.records import ROW, ROW_INDEX
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.errors import UserError
from qstar_pl.generation.prompts import choose_source, own_key, read_prompts
from qstar_pl.models.tokenizers import load_tokenizer


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(load_tokenizer("tiny"), 64, 1)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_source_follows_the_columns_given():
    assert choose_source("tiny", None, None) == TinyWorld()
    assert choose_source("x.jsonl", "q", None) == PromptResponse("q", None)
    assert choose_source("x.jsonl", "q", "a") == PromptResponse("q", "a", answer_required=True)
    assert choose_source("x.jsonl", None, None) == Auto()


def test_rows_keep_their_numbers_and_seeds_in_a_range(tmp_path, encoder):
    rows = [{"q": text, "id": number} for number, text in enumerate(["one", "two", " ", "one", "three", "one"])]
    path = write(tmp_path / "rows.jsonl", rows)
    source = PromptResponse("q", None)
    whole = read_prompts(source, path, None, encoder, 0, None)
    assert [row.example.metadata[ROW_INDEX] for row in whole.encoded] == [0, 1, 3, 4, 5]
    assert dict(whole.rejected) == {"the prompt is empty": 1}
    assert whole.first == {"the prompt is empty": f"{path}:3"}
    assert whole.repeated == 2
    keys = [row.example.key for row in whole.encoded]
    assert len(set(keys)) == 5, "a prompt that stands there again gets other answers"
    part = read_prompts(source, path, None, encoder, 3, 5)
    assert [row.example.key for row in part.encoded] == keys[2:4]
    assert [row.example.metadata[ROW]["id"] for row in part.encoded] == [3, 4]
    assert not part.rejected
    assert not part.first


def test_auto_reads_what_the_first_row_is(tmp_path, encoder, capsys):
    hh = {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"}
    found = read_prompts(Auto(), write(tmp_path / "hh.jsonl", [hh]), None, encoder, 0, None)
    assert found.encoded[0].example.key == HHRLHF().example(hh, "").key
    assert found.encoded[0].chosen is None
    assert "read as HHRLHF" in capsys.readouterr().out


def test_mistakes_name_the_columns_and_the_range(tmp_path, encoder):
    path = write(tmp_path / "rows.jsonl", [{"question": "a", "id": 1}])
    with pytest.raises(UserError, match=r"needs the columns? q.*id, question"):
        read_prompts(PromptResponse("q", None), path, None, encoder, 0, None)
    with pytest.raises(UserError, match="usable row from start_idx=7 on, got 1 rows"):
        read_prompts(PromptResponse("question", None), path, None, encoder, 7, None)


def test_first_key_is_the_prompts_own():
    assert own_key(5, 0) == 5
    keys = {own_key(5, earlier) for earlier in range(100)} | {own_key(6, earlier) for earlier in range(100)}
    assert len(keys) == 200
    assert all(0 <= key < 2**63 for key in keys)

import json
import random
import shutil

import pytest
from jinja2.exceptions import TemplateError
from transformers import AutoTokenizer

from qstar_pl.tiny_world.rows import dialogues, posts, programs
from qstar_pl.tiny_world.tokenizer import ASSETS, EOS, PAD, VOCAB_SIZE, build_tokenizer
from qstar_pl.tiny_world.world import CREATURES, VALUES

FOLDER = ASSETS / "tokenizer"


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(FOLDER)


def encode(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_shipped_files_are_what_the_code_builds(tmp_path):
    build_tokenizer(tmp_path)
    shipped = {file.name: json.loads(file.read_text()) for file in FOLDER.iterdir()}
    built = {file.name: json.loads(file.read_text()) for file in tmp_path.iterdir()}
    assert built["tokenizer.json"] == shipped["tokenizer.json"]
    assert set(built) == set(shipped)
    assert built["tokenizer_config.json"]["chat_template"] == shipped["tokenizer_config.json"]["chat_template"]


def test_small_files():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 60_000


def test_special_tokens(tokenizer):
    assert (tokenizer.pad_token, tokenizer.eos_token) == (PAD, EOS)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1)
    assert len(tokenizer) == VOCAB_SIZE
    assert tokenizer.padding_side == "left"
    assert encode(tokenizer, "a" + EOS)[-1] == 1
    assert tokenizer.decode([0, *encode(tokenizer, " ok"), 1], skip_special_tokens=True) == " ok"


def random_texts():
    rng = random.Random(0)
    ranges = [(0x00, 0x7F), (0x80, 0x2FF), (0x370, 0x5FF), (0x2000, 0x2BFF), (0x4E00, 0x9FFF), (0x1F300, 0x1FAFF)]
    for _ in range(300):
        yield "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(0, 40)))
    yield from ("", " ", "\n\n", "\n\n\n", "\r\n\t \x0b\x00", "  . , 's don 't  ", "e\u0301 \u202e \ufeff \U0010ffff")
    yield "\n\nHuman:\n\nAssistant:\n\nHuman: \n\n Assistant :"
    yield "".join(map(chr, range(0x3000)))


def test_any_text_survives(tokenizer):
    for text in random_texts():
        assert tokenizer.decode(encode(tokenizer, text)) == text


def test_survives_where_a_gpt2_model_lies_in_the_same_folder(tokenizer, tmp_path):
    shutil.copytree(FOLDER, tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    beside = AutoTokenizer.from_pretrained(tmp_path / "model")
    beside.save_pretrained(tmp_path / "again")
    again = AutoTokenizer.from_pretrained(tmp_path / "again")
    text = dialogues(1, 0)[0]["chosen"] + " ü 12 _x"
    assert encode(beside, text) == encode(again, text) == encode(tokenizer, text)
    assert again.chat_template == tokenizer.chat_template


def test_an_answer_has_the_same_tokens_behind_any_prompt(tokenizer):
    for row in dialogues(200, 1):
        answer = row["chosen"].removeprefix(row["prompt"])
        whole = encode(tokenizer, row["chosen"])
        assert whole == encode(tokenizer, row["prompt"]) + encode(tokenizer, answer)


def test_short_texts(tokenizer):
    for row in dialogues(500, 1):
        prompt = len(encode(tokenizer, row["prompt"]))
        assert prompt < (40 if row["prompt"].count("Human:") == 1 else 120)
        assert 6 <= len(encode(tokenizer, row["chosen"].removeprefix(row["prompt"]))) <= 24
        assert len(encode(tokenizer, row["rejected"].removeprefix(row["prompt"]))) <= 60
    for row in posts(300, 1):
        assert len(encode(tokenizer, row["prompt"])) <= 130
        assert len(encode(tokenizer, " " + row["chosen"])) <= 48
    for row in programs(300, 1):
        assert len(encode(tokenizer, row["prompt"])) <= 64
        assert len(encode(tokenizer, " " + row["chosen"])) <= 24


def test_each_name_and_value_is_one_token(tokenizer):
    names = [*CREATURES, *(value for values in VALUES.values() for value in values)]
    assert all(len(encode(tokenizer, f" {name}")) == 1 for name in names)


def test_chat_template_renders_the_native_dialogue(tokenizer):
    row = next(row for row in dialogues(50, 1) if row["prompt"].count("Human:") == 3)
    parts = row["prompt"].removesuffix("\n\nAssistant:").split("\n\n")[1:]
    roles = {"Human": "user", "Assistant": "assistant"}
    messages = [{"role": roles[role], "content": text} for role, _, text in (part.partition(": ") for part in parts)]
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == row["prompt"]
    answered = [*messages, {"role": "assistant", "content": row["chosen"].removeprefix(row["prompt"])}]
    assert tokenizer.apply_chat_template(answered, tokenize=False) == row["chosen"] + EOS


def test_chat_template_keeps_eos_for_the_last_answer(tokenizer):
    said = [{"role": "user", "content": " a "}, {"role": "assistant", "content": "b\n"}]
    assert tokenizer.apply_chat_template(said, tokenize=False) == f"\n\nHuman: a\n\nAssistant: b{EOS}"
    assert (
        tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        == "\n\nHuman: a\n\nAssistant: b\n\nAssistant:"
    )
    first = [{"role": "system", "content": "s"}, said[0]]
    assert tokenizer.apply_chat_template(first, tokenize=False) == "\n\nSystem: s\n\nHuman: a"


def test_chat_template_refuses_other_roles(tokenizer):
    with pytest.raises(TemplateError, match="roles must be"):
        tokenizer.apply_chat_template([{"role": "tool", "content": "x"}], tokenize=False)
    with pytest.raises(TemplateError, match="roles must be"):
        tokenizer.apply_chat_template(
            [{"role": "user", "content": "x"}, {"role": "system", "content": "x"}], tokenize=False
        )

"""What a cached file's name depends on, and writing it from several processes."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from qstar_pl.data import ChatRendering, PlainRendering, single_turn
from qstar_pl.data.storage.examples import as_examples
from qstar_pl.data.storage.folder import CacheFolder, default_folder
from qstar_pl.data.storage.identity import tokens_identity
from qstar_pl.data.storage.token_cache import load_tokens, write_tokens
from qstar_pl.data.storage.tokenizing import encode_all, encode_cached
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.types import Turn

EXAMPLES = [single_turn(f"question {n}", f"answer {n}") for n in range(8)]


def name(encoder, examples=EXAMPLES):
    return tokens_identity(encoder, as_examples(examples))


@pytest.fixture
def encoder(tokenizer):
    return Encoder(tokenizer, 20, 10)


def test_the_name_follows_everything_that_ids_depend_on(encoder, bos_tokenizer, templated):
    first = EXAMPLES[0]
    others = [
        name(Encoder(encoder.tokenizer, 21, 10)),
        name(Encoder(encoder.tokenizer, 20, 11)),
        name(Encoder(encoder.tokenizer, 20, 10, drop_long_answers=True)),
        name(Encoder(encoder.tokenizer, 20, 10, rendering=PlainRendering())),
        name(Encoder(encoder.tokenizer, 20, 10, rendering=ChatRendering("{{ messages }}"))),
        name(Encoder(encoder.tokenizer, 20, 10, rendering=ChatRendering("{{ messages[0] }}"))),
        name(Encoder(bos_tokenizer, 20, 10)),
        name(Encoder(templated("{{ messages }}"), 20, 10)),
        name(encoder, EXAMPLES[:-1]),
        name(encoder, EXAMPLES[::-1]),
        name(encoder, [replace(first, chosen="other"), *EXAMPLES[1:]]),
        name(encoder, [replace(first, chosen=None), *EXAMPLES[1:]]),
        name(encoder, [replace(first, rejected="other"), *EXAMPLES[1:]]),
        name(encoder, [replace(first, turns=(Turn("system", "x"), *first.turns)), *EXAMPLES[1:]]),
    ]
    assert len({name(encoder), *others}) == len(others) + 1


def test_the_name_follows_nothing_else(encoder, tmp_path):
    encoder.tokenizer.save_pretrained(tmp_path)
    same = Encoder(type(encoder.tokenizer).from_pretrained(tmp_path), 20, 10)
    assert name(same) == name(encoder)
    encoder.tokenizer(["a", "a b"], padding=True, truncation=True, max_length=2)  # leaves its traces in the backend
    assert name(same) == name(encoder)
    assert name(encoder, [replace(one, metadata={"row": 1}) for one in EXAMPLES]) == name(encoder)


def test_a_template_with_the_date_is_cached_for_a_day(encoder, monkeypatch):
    monkeypatch.setenv("QSTAR_DATE", "2199-01-01")
    dated = Encoder(encoder.tokenizer, 20, 10, rendering=ChatRendering("{{ strftime_now('%d') }}"))
    before, plain = name(dated), name(encoder)

    monkeypatch.setenv("QSTAR_DATE", "2199-01-02")
    assert name(dated) != before
    assert name(encoder) == plain


def write(folder, tokenizer, start):
    start.wait()
    for _ in range(5):
        encode_cached(Encoder(tokenizer, 20, 10), EXAMPLES, CacheFolder(folder, 0))


def test_processes_share_a_folder(encoder, tmp_path):
    context = multiprocessing.get_context("fork")
    start = context.Event()
    writers = [context.Process(target=write, args=(tmp_path, encoder.tokenizer, start)) for _ in range(4)]
    for writer in writers:
        writer.start()
    start.set()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    (file,) = tmp_path.iterdir()
    found = load_tokens(file, as_examples(EXAMPLES))
    assert [row.prompt.tolist() for row in found.rows] == [
        row.prompt.tolist() for row in encode_all(encoder, EXAMPLES).rows
    ]
    assert not found.rejected


def test_no_rows_at_all(encoder, tmp_path):
    three = as_examples(EXAMPLES[:3])
    strict = replace(encoder, max_completion_tokens=1, drop_long_answers=True)
    made = write_tokens(tmp_path / "x", strict, three)
    found = load_tokens(tmp_path / "x", three)
    assert list(made.rows) == list(found.rows) == []
    assert made.rejected == found.rejected == {"an answer is longer than max_completion_tokens": 3}
    assert load_tokens(tmp_path / "x", as_examples(EXAMPLES)) is None


def test_default_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_folder() == Path("/somewhere/qstar_pl/tokens")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache/qstar_pl/tokens"

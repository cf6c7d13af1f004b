"""A dataset from a file of rows is the dataset that its adapter reads."""

import json
import os
import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from qstar_pl.data import HHRLHF, Adapter, Mixture, Part, PromptResponse, TinyWorld, single_turn
from qstar_pl.data.storage.arrow_file import ArrowFile, ArrowWriter
from qstar_pl.data.storage.examples import SCHEMA, StoredExamples
from qstar_pl.data.storage.folder import CacheFolder
from qstar_pl.data.storage.row_cache import load_rows, read_cached

PLAIN = PromptResponse()


def write(path, count=30):
    rows = [
        {"prompt": f"q{n}", "completion": f"a{n}", "n": n, "x": n / 3, "deep": [{"é": None}, True]}
        for n in range(count)
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    lines[3:3] = ["nonsense", '{"prompt": "", "completion": "a"}', "[1]", "more nonsense"]
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def cache(tmp_path):
    return CacheFolder(tmp_path / "cache", 0)


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "x.jsonl")
    return str(tmp_path / "x.jsonl")


def same(found, read):
    assert list(found.examples) == read.examples
    assert repr(list(found.examples)) == repr(read.examples)
    assert (found.read, found.rejected, found.first, found.places, found.parts) == (
        read.read,
        read.rejected,
        read.first,
        read.places,
        read.parts,
    )
    assert list(found.rejected) == list(read.rejected)


def test_the_second_start_reads_no_row_again(path, cache, monkeypatch):
    plain = PLAIN.read(path, None, None)
    assert plain.rejected.total() == 4
    same(read_cached(PLAIN, path, None, None, cache), plain)
    monkeypatch.setattr("qstar_pl.data.storage.row_cache.gather", None)
    found = read_cached(PLAIN, path, None, None, cache)
    same(found, plain)
    assert isinstance(found.examples, StoredExamples)
    assert found.places["the row is not JSON"] == (f"{path}:4", f"{path}:7")


def test_whatever_the_rows_depend_on_gives_another_file(path, cache, tmp_path):
    def names():
        return {file.name for file in cache.folder.iterdir()}

    read_cached(PLAIN, path, None, None, cache)
    read_cached(PLAIN, path, None, 7, cache)
    read_cached(PromptResponse(prompt_field="completion", response_field="prompt"), path, None, None, cache)
    assert len(names()) == 3
    os.utime(path, (1, 1))
    read_cached(PLAIN, path, None, None, cache)
    assert len(names()) == 3
    write(Path(path), 31)
    assert len(read_cached(PLAIN, path, None, None, cache).examples) == 31
    assert len(names()) == 4


def test_parts_of_a_mixture(path, cache):
    mixture = Mixture((Part(PLAIN, path, weight=2.0, name="a"), Part(PLAIN, path, weight=1.0, max_rows=9, name="b")))
    plain = mixture.read("", None, None)
    for _ in range(2):
        found = read_cached(mixture, "", None, None, cache)
        same(found, plain)
        assert [one.metadata["part"] for one in found.examples.of_each_part()] == ["a", "b"]
        assert found.examples.parts().mask("b").sum() == 5
    out = replace(mixture, parts=(mixture.parts[0], replace(mixture.parts[1], weight=None, held_out=True)))
    for _ in range(2):
        assert [part.held_out for part in read_cached(out, "", None, None, cache).parts] == [False, True]


def test_some_of_the_rows(path, cache):
    plain = PLAIN.read(path, None, None).examples
    stored = read_cached(PLAIN, path, None, None, cache).examples
    assert stored.take([5, 2, 9]).take([2, 0]) == [plain[9], plain[5]]
    assert stored[3:9:2] == plain[3:9:2]
    assert stored[-1] == plain[-1]
    assert [one.turns[0].content for one in stored.take([1]).with_system("Be kind.")] == ["Be kind."]
    digests = {some.digest() for some in (stored, stored[:-1], stored.take(range(29, -1, -1)), stored.with_system("x"))}
    assert len(digests) == 4
    with pytest.raises(IndexError):
        stored[30]
    assert pickle.loads(pickle.dumps(stored)) == plain


@dataclass(frozen=True)
class Own(Adapter):
    def example(self, row, where):
        return single_turn(row["prompt"] or "?", row["completion"])


@pytest.mark.parametrize("adapter", [Own(), TinyWorld(size=40)])
def test_rows_whose_code_or_source_is_not_known_leave_no_file(adapter, path, cache):
    same(read_cached(adapter, path, None, None, cache), adapter.read(path, None, None))
    assert list(cache.folder.iterdir()) == []


@dataclass(frozen=True)
class Odd(Adapter):
    """Rows that JSON would give back as something else."""

    odd: object = (1, 2)
    late: bool = False

    def rows(self, path, split):
        for number in range(1500):
            yield f"row {number}", {"n": number, "odd": self.odd if number == 1400 or not self.late else None}

    def example(self, row, where):
        return single_turn(f"q{row['n']}", "a", metadata={"odd": row["odd"]})


@pytest.mark.parametrize(
    "odd", [(1, 2), {1: 2}, b"x", "\ud83d", [{"x": (1,)}]], ids=["tuple", "key", "bytes", "half", "deep"]
)
@pytest.mark.parametrize("late", [False, True])
def test_rows_that_json_cannot_hold_are_held_in_memory(odd, late, cache):
    adapter = Odd(odd, late)
    found = read_cached(adapter, "x", None, None, cache)
    same(found, adapter.read("x", None, None))
    assert (found.cache is not None) == late
    assert list(cache.folder.glob("*")) == []


def test_a_few_rows_are_held_in_memory(path, tmp_path):
    few = CacheFolder(tmp_path / "cache", 31)
    assert isinstance(read_cached(PLAIN, path, None, None, few).examples, list)
    assert not few.folder.exists()
    assert isinstance(read_cached(PLAIN, path, None, None, replace(few, least=30)).examples, StoredExamples)


def forge(file, change):
    opened = ArrowFile(file, SCHEMA)
    columns = {name: opened.batches[0].column(name).to_pylist() for name in SCHEMA.names}
    change(columns, opened.facts)
    writer = ArrowWriter(file.parent, SCHEMA)
    writer.rows(columns)
    writer.finish(opened.facts, file)


@pytest.mark.parametrize(
    "damage", ["cut", "changed", "empty", "pipe", "folder", "open to all", "other part", "no facts"]
)
def test_a_file_that_cannot_be_used_is_made_anew(path, cache, damage):
    plain = PLAIN.read(path, None, None)
    read_cached(PLAIN, path, None, None, cache)
    (file,) = cache.folder.iterdir()
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    if damage in ("cut", "changed", "empty"):
        file.write_bytes({"cut": whole[:-10], "changed": bytes(changed), "empty": b""}[damage])
    elif damage == "open to all":
        file.chmod(0o666)
    elif damage == "other part":
        forge(file, lambda columns, facts: columns["part"].__setitem__(0, 1))
    elif damage == "no facts":
        forge(file, lambda columns, facts: facts.clear())
    else:
        file.unlink()
        os.mkfifo(file) if damage == "pipe" else file.mkdir()
    again = read_cached(PLAIN, path, None, None, cache)
    same(again, plain)
    assert again.cache == f"rows read again: {file} could not be used"
    if damage != "folder":
        assert file.read_bytes() == whole
        assert read_cached(PLAIN, path, None, None, cache).cache is None


def test_a_full_disk_costs_the_cache_alone(path, cache, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(ArrowWriter, "rows", full)
    found = read_cached(PLAIN, path, None, None, cache)
    same(found, PLAIN.read(path, None, None))
    assert found.cache == f"rows not cached: No space left on device: {cache.folder}"
    assert list(cache.folder.iterdir()) == []


def test_real_rows(real_data, cache):
    path = str(real_data / "hh_rlhf/helpful-base.test.jsonl.gz")
    plain = HHRLHF().read(path, None, 300)
    for _ in range(2):
        same(read_cached(HHRLHF(), path, None, 300, cache), plain)
    (file,) = cache.folder.iterdir()
    assert load_rows(file, HHRLHF().sources(path, None, 300)) is not None

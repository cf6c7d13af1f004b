import datetime
import gzip
import json
import os
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from qstar_pl.data.reading import Unreadable, looks_local, read_rows
from qstar_pl.errors import UserError

ROWS = [{"a": "é", "n": 1}, {"a": "two\nlines", "n": 2}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def rows(path, split=None):
    return [row for _, row in read_rows(str(path), split)]


def places(path):
    return [where for where, _ in read_rows(str(path))]


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.ndjson"])
def test_lines(tmp_path, name):
    file = tmp_path / name
    file.write_text("\ufeff" + LINES.replace("\n", "\n\n"), encoding="utf-8")  # a BOM and empty lines
    assert rows(file) == ROWS
    assert places(file) == [f"{file}:1", f"{file}:3"]


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.json.gz"])
def test_gzip(tmp_path, name):
    file = tmp_path / name
    file.write_bytes(gzip.compress(LINES.encode()))
    assert rows(file) == ROWS


def test_list(tmp_path):
    file = tmp_path / "x.json"
    file.write_text(" \n" + json.dumps(ROWS, indent=1))
    assert rows(file) == ROWS
    assert places(file)[1] == f"{file}, item 2"


def test_parquet(tmp_path):
    file = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
    assert rows(file) == ROWS
    assert places(file)[1] == f"{file}, row 2"


def test_folder_is_read_in_order_and_split_selects_files(tmp_path):
    for name, number in (("b/test.jsonl", 3), ("a/train.jsonl", 1), ("a/test-0.json", 2)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"n": number}))
    (tmp_path / "README.md").write_text("no data")
    assert [row["n"] for row in rows(tmp_path)] == [1]
    assert [row["n"] for row in rows(tmp_path, "test")] == [2, 3]
    (tmp_path / "a" / "train.jsonl").unlink()
    assert [row["n"] for row in rows(tmp_path)] == [2, 3]
    with pytest.raises(UserError, match="with the word 'valid' in its path"):
        rows(tmp_path, "valid")


BAD = [
    ('{"a": ', "the row is not JSON"),
    ("{'a': 1}", "the row is not JSON"),
    ("[1]", "the row is not a JSON object"),
    ("3", "the row is not a JSON object"),
    ('{"a": "half \\ud83d"}', "half of a surrogate pair"),
    ('{"a": {"\\uDE00": 1}}', "half of a surrogate pair"),
    ('{"a": ' + "[" * 200 + "]" * 200 + "}", "nested more than 100 levels"),
    ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested more than 100 levels"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=range(len(BAD)))
def test_one_bad_row_costs_no_other(tmp_path, bad, reason):
    file = tmp_path / "x.jsonl"
    file.write_text(f'{{"a": 1}}\n{bad}\n{{"a": 2}}\n')
    (_, first), (where, row), (_, last) = read_rows(str(file))
    assert (first, last) == ({"a": 1}, {"a": 2})
    assert where == f"{file}:2"
    assert isinstance(row, Unreadable)
    assert reason in row.reason
    if bad != '{"a": ':  # it would swallow its neighbors
        listed = tmp_path / "x.json"
        listed.write_text(f'[{{"a": 1}}, {bad},\n{{"a": 2}}]')
        (_, first), (where, row), (_, last) = read_rows(str(listed))
        assert (first, last, where) == ({"a": 1}, {"a": 2}, f"{listed}, item 2")
        assert isinstance(row, Unreadable)
        assert reason in row.reason


def test_bytes_that_are_no_text_cost_their_row(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'{"a": "\xff"}\n{"a": 1}\n')
    assert rows(tmp_path / "x.jsonl") == [Unreadable("the row is not UTF-8 text"), {"a": 1}]
    (tmp_path / "x.csv").write_bytes(b"a,b\n\xff,1\nx,2\n")
    assert rows(tmp_path / "x.csv") == [Unreadable("the row is not UTF-8 text"), {"a": "x", "b": "2"}]


def test_numbers_that_json_or_python_do_not_have(tmp_path):
    huge = "9" * 5000
    file = tmp_path / "x.jsonl"
    file.write_text(
        f'{{"a": NaN, "b": [Infinity, -Infinity, 1e999], "c": {huge}, "d": -{huge}, "e": 12345678901234567890}}'
    )
    (row,) = rows(file)
    assert row == {"a": None, "b": [None] * 3, "c": huge, "d": f"-{huge}", "e": 12345678901234567890}
    json.dumps(row, allow_nan=False)  # so it can be printed and written
    pandas_like = {"a": [1.0, float("nan")], "when": [datetime.date(2020, 1, 2), None]}
    pyarrow.parquet.write_table(pyarrow.table(pandas_like), tmp_path / "x.parquet")
    assert rows(tmp_path / "x.parquet") == [{"a": 1.0, "when": "2020-01-02"}, {"a": None, "when": None}]


def test_a_whole_surrogate_pair_is_a_character(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": "\\ud83d\\ude00"}')
    assert rows(tmp_path / "x.jsonl") == [{"a": "\N{GRINNING FACE}"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", 'a,b,c\n"one, two","line\nline",\nx,"said ""so""",3\n'),
        ("x.csv", '\ufeffa;b;c\n"one, two";"line\nline";\nx;"said ""so""";3\n'),
        ("x.tsv", 'a\tb\tc\none, two\t"line\nline"\t\n\nx\t"said ""so"""\t3\n'),
    ],
)
def test_csv(tmp_path, name, content):
    file = tmp_path / name
    file.write_text(content)
    assert rows(file) == [{"a": "one, two", "b": "line\nline", "c": None}, {"a": "x", "b": 'said "so"', "c": "3"}]
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    assert rows(packed) == rows(file)


def test_csv_rows_of_another_width_and_long_cells(tmp_path):
    file = tmp_path / "x.csv"
    long = "word " * 100_000
    file.write_text(f"a,b\n1,2,3\n{long},2\n1\n")
    odd = Unreadable("the row has another number of cells than the header")
    assert rows(file) == [odd, {"a": long, "b": "2"}, odd]
    file.write_text("a,a\n1,2\n")
    with pytest.raises(UserError, match=r"x.csv:1: must name each column once, got a, a"):
        rows(file)


def test_json_files_that_are_one_object(tmp_path):
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"version": "1.1", "data": ROWS}, indent=2))
    assert rows(file) == ROWS
    file.write_text(json.dumps(ROWS[0], indent=2))
    assert rows(file) == ROWS[:1]
    file.write_text(json.dumps({"a": ["x", "y"], "n": [1, None]}))
    assert rows(file) == [{"a": "x", "n": 1}, {"a": "y", "n": None}]
    messages = {"prompt": [{"role": "user", "content": "x"}], "completion": [{"role": "assistant", "content": "y"}]}
    file.write_text(json.dumps(messages, indent=1))
    assert rows(file) == [messages]
    for scalar in ('"text"', "42", "null", "true"):
        file.write_text(scalar)
        assert rows(file) == [Unreadable("the row is not a JSON object")]
    file.write_text('[{"a": 1}, {"a": ')
    with pytest.raises(UserError, match=r"x.json:1: must be JSON: the list has no end"):
        rows(file)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl.gz", LINES.encode(), "must be a whole gzip file"),
        ("x.jsonl.gz", gzip.compress(LINES.encode() * 100, mtime=0)[:-20], "must be a whole gzip file"),
        ("x.parquet", b"not parquet", "must be a parquet file"),
        ("x.arrow", b"not arrow", "must be an arrow file"),
        ("x.csv", "prompt,completion\na,b\n".encode("utf-16"), "x.csv:1: must be UTF-8 text, got a header that is not"),
        ("x.tsv", "caf\xe9\tb\na\tb\n".encode("latin-1"), "x.tsv:1: must be UTF-8 text, got a header that is not"),
    ],
    # Named, since two pytest workers must collect the same names, and compressed bytes hold the time.
    ids=["not_gzip", "cut_gzip", "not_parquet", "not_arrow", "utf_16", "latin_1"],
)
def test_broken_file(tmp_path, name, content, message):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        rows(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_wrong_path_and_wrong_suffix(tmp_path):
    with pytest.raises(UserError, match=r"path must be a file, a folder or a hub id; there is no .*nothing.jsonl"):
        rows(tmp_path / "nothing.jsonl")
    with pytest.raises(UserError, match=r"path must be a file, a folder or a hub id; there is no \./owner/name"):
        rows("./owner/name")
    (tmp_path / "x.txt").write_text("a,b")
    with pytest.raises(UserError, match=r"path must end in one of \.jsonl"):
        rows(tmp_path / "x.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"path must hold a \.jsonl"):
        rows(tmp_path / "empty")
    (tmp_path / "x.jsonl").write_text(LINES)
    with pytest.raises(UserError, match="split must be left out when path is a single file"):
        rows(tmp_path / "x.jsonl", "train")


def test_what_is_there_but_no_file_is_not_said_to_be_missing(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "ring.jsonl").symlink_to("ring.jsonl")
    (tmp_path / "lost").symlink_to("nothing.jsonl")
    (tmp_path / "to_pipe.jsonl").symlink_to("pipe.jsonl")
    found = {"pipe.jsonl": "a pipe", "ring.jsonl": "a link that leads nowhere", "lost": "a link that leads nowhere"}
    found |= {"to_pipe.jsonl": "a pipe", "/dev/null": "a device"}
    for name, kind in found.items():
        with pytest.raises(UserError) as error:
            rows(tmp_path / name)
        said = f"path must be a file, a folder or a hub id, got {tmp_path / name}, which is {kind}"
        assert str(error.value) == said


def test_a_link_that_leads_nowhere_is_no_name_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("squad").symlink_to("squad")
    assert looks_local("squad")


def test_what_looks_local(tmp_path):
    assert looks_local(str(tmp_path))
    assert all(map(looks_local, ["a/b/c", "./a", "/a", "~/a", "../a/b", "a.jsonl", "owner/a.jsonl.gz", "a b", "a:b:c"]))
    assert not any(
        map(looks_local, ["Anthropic/hh-rlhf", "squad", "owner/name.v2", "name_with_words", "owner/name:part"])
    )


def test_hub_id_offline_is_one_line():
    with pytest.raises(UserError, match=r"there is no nobody/no-such-data here; on the hub: .+") as caught:
        rows("nobody/no-such-data")
    assert "\n" not in str(caught.value)


def test_hub_rows_carry_their_place(monkeypatch):
    import datasets

    asked = []

    def load(*names, split):
        asked.append((*names, split))
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert list(read_rows("owner/name")) == [(f"owner/name [train], row {n}", row) for n, row in enumerate(ROWS)]
    assert rows("owner/name", "test") == ROWS
    assert rows("owner/name:part-1") == ROWS
    assert asked == [("owner/name", "train"), ("owner/name", "test"), ("owner/name", "part-1", "train")]

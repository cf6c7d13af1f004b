import gzip
import json

import pytest

from qstar_pl.data.reading import looks_local, read_rows
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
    import pyarrow
    import pyarrow.parquet

    file = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
    assert rows(file) == ROWS
    assert places(file)[1] == f"{file}, row 2"


def test_folder_is_read_in_order_and_split_selects_files(tmp_path):
    for name, number in (("b/test.jsonl", 3), ("a/train.jsonl", 1), ("a/test-0.json", 2)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"n": number}))
    (tmp_path / "README.md").write_text("no data")
    assert [row["n"] for row in rows(tmp_path)] == [2, 1, 3]
    assert [row["n"] for row in rows(tmp_path, "test")] == [2, 3]
    with pytest.raises(UserError, match="with the word 'valid' in its path"):
        rows(tmp_path, "valid")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"a": \n', r"x.jsonl:2: a row must be JSON: Expecting value at column"),
        ('{"a": 1}\n[1]\n', r"x.jsonl:2: a row must be a JSON object, got a list"),
        ("{'a': 1}\n", r"x.jsonl:1: a row must be JSON"),
    ],
)
def test_malformed_row_names_file_and_line(tmp_path, content, message):
    file = tmp_path / "x.jsonl"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        rows(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [('[{"a": 1},\n {"a": }]', r"x.json:2: must be JSON"), ('[{"a": 1}, 3]', r"x.json, item 2: .* got a int")],
)
def test_malformed_list(tmp_path, content, message):
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        rows(file)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl.gz", LINES.encode(), "must be a whole gzip file"),
        ("x.jsonl.gz", gzip.compress(LINES.encode() * 100, mtime=0)[:-20], "must be a whole gzip file"),
        ("x.jsonl", b'{"a": "\xff"}', "must be UTF-8 text"),
        ("x.parquet", b"not parquet", "must be a parquet file"),
    ],
    # Named, since two pytest workers must collect the same names, and compressed bytes hold the time.
    ids=["not_gzip", "cut_gzip", "not_utf8", "not_parquet"],
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
    (tmp_path / "x.csv").write_text("a,b")
    with pytest.raises(UserError, match=r"path must end in one of \.jsonl"):
        rows(tmp_path / "x.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"path must hold a \.jsonl"):
        rows(tmp_path / "empty")
    (tmp_path / "x.jsonl").write_text(LINES)
    with pytest.raises(UserError, match="split must be left out when path is a single file"):
        rows(tmp_path / "x.jsonl", "train")


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

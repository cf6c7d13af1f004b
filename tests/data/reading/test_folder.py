import json

import datasets
import pytest

from qstar_pl.data import Auto
from qstar_pl.data.reading import looks_local, read_rows
from qstar_pl.data.reading.folder import folder_files
from qstar_pl.errors import UserError

ROWS = [{"prompt": f"q{number}", "completion": f"a{number}"} for number in range(5)]


def write(file, *rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def prompts(path, split=None):
    return [row["prompt"] for _, row in read_rows(str(path), split)]


def test_save_to_disk(tmp_path):
    whole = datasets.Dataset.from_list([{**row, "n": [number, None]} for number, row in enumerate(ROWS)])
    whole.save_to_disk(str(tmp_path / "one"), num_shards=2)
    rows = [row for _, row in read_rows(str(tmp_path / "one"))]
    assert rows == list(whole)
    parts = datasets.DatasetDict({"train": whole.select([3, 1]), "test": whole.select([2])})
    parts.save_to_disk(str(tmp_path / "parts"))
    assert prompts(tmp_path / "parts") == ["q3", "q1"]
    assert prompts(tmp_path / "parts", "test") == ["q2"]
    assert [one.chosen for one in Auto().read(str(tmp_path / "parts")).examples] == ["a3", "a1"]


def test_messages_that_datasets_stores_as_columns(tmp_path):
    said = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    datasets.Dataset.from_list([{"messages": said}]).save_to_disk(str(tmp_path / "x"))
    (example,) = Auto().read(str(tmp_path / "x")).examples
    assert (example.turns[0].content, example.chosen) == ("Why?", "So.")


def test_what_describes_the_data_is_not_data(tmp_path):
    write(tmp_path / "data" / "train-00000-of-00001.jsonl", ROWS[0])
    for name in ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", ".cache/x.json"):
        write(tmp_path / name, {"default": {"splits": {}}})
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# Data\n")
    (tmp_path / ".gitattributes").write_text("*.parquet filter=lfs\n")
    assert prompts(tmp_path) == ["q0"]


@pytest.mark.parametrize(
    ("names", "split", "wanted"),
    [
        (["train.jsonl", "test.jsonl"], None, ["q0"]),
        (["train.jsonl", "valid.jsonl"], "validation", ["q1"]),
        (["train/0.jsonl", "dev/0.jsonl"], "dev", ["q1"]),
        (["train/0.jsonl", "dev/0.jsonl"], "val", ["q1"]),
        (["a.jsonl", "b.jsonl"], None, ["q0", "q1"]),
        (["a-train.jsonl", "b-train.jsonl"], None, ["q0", "q1"]),
        (["a-test.jsonl", "b-validation.jsonl"], None, ["q0", "q1"]),
        (["train.jsonl", "extra.jsonl"], None, ["q0"]),
        (["test/train.jsonl", "train/test.jsonl"], None, ["q0"]),
    ],
)
def test_splits(tmp_path, names, split, wanted):
    for name, row in zip(names, ROWS, strict=False):
        write(tmp_path / name, row)
    assert prompts(tmp_path, split) == wanted


def test_a_split_that_is_left_is_said(tmp_path, capsys):
    for name, row in zip(("train", "test", "validation"), ROWS, strict=False):
        write(tmp_path / f"{name}.jsonl", row)
    prompts(tmp_path)
    assert "the split train is read; there is test, validation too (--data.split)" in capsys.readouterr().out


README = """---
license: mit
configs:
- config_name: preference
  default: true
  data_files:
  - split: train
    path: preference/train.jsonl
  - split: validation
    path:
    - preference/held-*.jsonl
- config_name: feedback
  data_files: "feedback/*.jsonl"
- config_name: absent
  data_files: "absent/*"
---
# A copy of a hub dataset
"""


@pytest.fixture
def copy(tmp_path):
    names = ("preference/train", "preference/held-0", "preference/held-1", "feedback/train", "feedback/test")
    for name, row in zip(names, ROWS, strict=True):
        write(tmp_path / f"{name}.jsonl", row)
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def test_a_copy_of_a_hub_dataset_says_what_is_what(copy, capsys):
    assert prompts(copy) == ["q0"]
    assert "the configuration preference is read; there are preference, feedback" in capsys.readouterr().out
    assert prompts(copy, "validation") == prompts(copy, "val") == ["q1", "q2"]
    assert prompts(f"{copy}:feedback") == ["q4", "q3"]
    assert looks_local(f"{copy}:feedback")
    assert next(read_rows(f"{copy}:feedback"))[0] == f"{copy}/feedback/test.jsonl:1"


def test_configurations_that_must_be_named(copy):
    (copy / "README.md").write_text(README.replace("  default: true\n", ""))
    with pytest.raises(UserError, match=r"behind a colon, as in .*:preference; there are preference, feedback"):
        prompts(copy)
    with pytest.raises(UserError, match=r"behind the colon: preference, feedback; got absent"):
        prompts(f"{copy}:absent")
    with pytest.raises(UserError, match=r"split must be one of train, validation in .*, got test"):
        prompts(f"{copy}:preference", "test")


@pytest.mark.parametrize("text", ["", "---\n: [\n---\n", "no metadata", "---\nconfigs: 3\n---\n"])
def test_a_readme_without_metadata_changes_nothing(copy, text):
    (copy / "README.md").write_text(text)
    assert prompts(copy) == ["q3", "q0"]


@pytest.mark.parametrize("pattern", ["", ".", "/etc/*", "../**/*", "data/../../*", "a**"])
def test_a_card_names_files_of_its_folder_alone(pattern, tmp_path):
    (tmp_path / "train.jsonl").write_text("{}\n")
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n- data_files: {json.dumps(pattern)}\n---\n")
    with pytest.raises(UserError, match=r"path must hold a README\.md that names files of its folder"):
        prompts(tmp_path)


def test_a_folder_with_a_whole_disk_below_it_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("qstar_pl.data.reading.folder.MOST", 3)
    for name in "abc":
        (tmp_path / f"{name}.jsonl").write_text('{"prompt": "a"}\n')
    assert len(folder_files(tmp_path, None, None, (".jsonl",))) == 3
    (tmp_path / "d.txt").touch()
    with pytest.raises(UserError, match="path must be a file, or a folder with at most 3 files"):
        folder_files(tmp_path, None, None, (".jsonl",))

"""`qstar data`, and a user's own adapter, through the real command."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_run import SMALL

Call = Callable[..., tuple[int, str, str]]

OWN = '''
from dataclasses import dataclass

from qstar_pl.data import Adapter, single_turn


@dataclass(frozen=True)
class Riddles(Adapter):
    """Rows with a riddle and what it means."""

    shout: bool = False

    def example(self, row, where):
        riddle = row["riddle"].upper() if self.shout else row["riddle"]
        return single_turn(riddle, row["meaning"], metadata={"source": where})
'''


def write(name: str, rows: list[dict[str, object]]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_counts_fields_and_an_example(qstar: Call) -> None:
    rows = [{"question": f"q{n}", "answer": f"s{n}\n#### {n}"} for n in range(4)]
    write("x.jsonl", [*rows, {"question": "q", "answer": "none"}])
    code, out, err = qstar("data", "--adapter=GSM8K", "--path=x.jsonl", "--max_rows=5")
    assert (code, err) == (0, "")
    assert out.splitlines()[:6] == [
        "x.jsonl (GSM8K): 5 rows read, 4 used",
        "  1 left out: there is no final answer after ####; first x.jsonl:5",
        "  columns: question, answer",
        "  fields: prompt = question; chosen = answer; final_answer = answer, behind ####",
        "  4 different prompts; 4 rows with an answer, 0 of them with a worse one too",
        "  0 dialogues of several turns",
    ]
    for line in ("example 1: x.jsonl:1", "    | Human: q0", "    |  s0", '    final_answer: "0"'):
        assert line in out.splitlines()
    assert "example 2" not in out
    assert "example 2: x.jsonl:2" in qstar("data", "--adapter=GSM8K", "--path=x.jsonl", "--examples=2")[1]


def test_an_example_without_metadata_has_no_heading_for_it(qstar: Call) -> None:
    write("x.jsonl", [{"prompt": "p", "completion": "c"}])
    code, out, err = qstar("data", "--adapter=PromptResponse", "--path=x.jsonl")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "    |  c"


def test_nothing_in_a_row_reaches_the_terminal_as_a_command(qstar: Call) -> None:
    row = {"prompt": "a\x1b[2J\0\r\nb\tc", "response": "d\x9b2J", "odd\x1b]0;x\a": 1}
    Path("rows.jsonl").write_text(json.dumps(row) + "\n")
    code, out, err = qstar("data", "--path=rows.jsonl")
    assert code == 0, err
    assert not any(mark in out + err for mark in "\x1b\x9b\0\a\r")
    assert r"a\x1b[2J\x00\x0d" in out
    assert "b\tc" in out
    assert r"d\x9b2J" in out
    assert r"odd\x1b]0;x\x07" in out


def test_nor_does_anything_that_an_error_quotes(qstar: Call) -> None:
    Path("rows.jsonl").write_text(json.dumps({"odd\x1b]0;x\a": 1}) + "\n")
    code, out, err = qstar("data", "--path=rows.jsonl")
    assert code == 2
    assert not any(mark in out + err for mark in "\x1b\a")
    assert r"odd\x1b]0;x\x07" in err.splitlines()[-1]


def test_a_malformed_row_is_named_with_file_and_line(qstar: Call) -> None:
    Path("x.jsonl").write_text('{"prompt": "p", "completion": "c"}\n\n{"prompt": "p", \n{"other": "p"}\n')
    code, out, _ = qstar("data", "--path=x.jsonl", "--adapter=PromptResponse", "--max_left_out=1")
    assert code == 0
    (broken,) = [line for line in out.splitlines() if "not JSON" in line]
    assert broken.endswith("; first x.jsonl:3")
    (missing,) = [line for line in out.splitlines() if "left out" in line and "x.jsonl:4" in line]
    assert "; first x.jsonl:4" in missing


def test_detection_is_the_default_and_says_what_it_chose(qstar: Call) -> None:
    write("x.jsonl", [{"problem": "p", "solution": "s"}])
    code, out, _ = qstar("data", "--path=x.jsonl", "--rendering=PlainRendering")
    assert code == 0
    assert out.startswith("Auto: x.jsonl: read as PromptResponse with prompt = problem, chosen = solution\n")
    assert "  prompt:\n    | p\n  chosen:\n    |  s\n" in out


def test_what_fit_takes_means_the_same_here(qstar: Call) -> None:
    write("x.jsonl", [{"prompt": f"{n}", "completion": "yes" * n} for n in range(1, 9)])
    Path("own.yaml").write_text("filters:\n- class_path: LengthFilter\n  init_args: {max_response: 15}\n")
    code, out, _ = qstar(
        "data", "--config=own.yaml", "--path=x.jsonl", "--subset_size=2", "--system_prompt=Be kind.", "--examples=1"
    )
    assert code == 0
    assert "8 rows read, 2 used" in out
    assert "  3 left out: an answer has more than 15 characters\n  3 left out: outside the subset of 2 rows" in out
    assert "Be kind." in out


def test_parts_of_a_mixture(qstar: Call) -> None:
    write("a.jsonl", [{"prompt": "p", "completion": "c"}] * 3)
    write("b.jsonl", [{"question": "q", "answer": "#### 1"}, {"question": "q", "answer": "1"}])
    parts = [
        {"adapter": "PromptResponse", "path": "a.jsonl", "weight": 2},
        {"adapter": "GSM8K", "path": "b.jsonl", "weight": 1, "name": "math"},
    ]
    Path("mixture.yaml").write_text(json.dumps({"class_path": "Mixture", "init_args": {"parts": parts}}))
    code, out, err = qstar("data", "--adapter=mixture.yaml", "--examples=0")
    assert code == 0, err
    assert out.splitlines()[:8] == [
        "mixture of 2 parts: 5 rows read, 4 used",
        "  1 left out: math: there is no final answer after ####; first b.jsonl:2",
        "  part a.jsonl (PromptResponse): 3 rows read, 3 used, weight 2",
        "  part math: 2 rows read, 1 used, weight 1",
        "  columns of a.jsonl (PromptResponse): prompt, completion",
        "  fields of a.jsonl (PromptResponse): prompt = prompt; chosen = completion",
        "  columns of math: question, answer",
        "  fields of math: prompt = question; chosen = answer; final_answer = answer, behind ####",
    ]


def test_where_malformed_rows_stand(qstar: Call) -> None:
    good = json.dumps({"prompt": "p", "completion": "c"})
    Path("x.jsonl").write_text("\n".join([good, "{", good, "[1]", "half", *[good] * 6, "}", "nonsense"]))
    code, out, err = qstar("data", "--path=x.jsonl", "--examples=0")
    assert code == 0, err
    assert "  4 left out: the row is not JSON; first x.jsonl:2, then x.jsonl:5, x.jsonl:12\n" in out
    assert "  1 left out: the row is not a JSON object; first x.jsonl:4\n" in out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "path must name a file, a folder or a hub id, got nothing"),
        (["--path=nowhere.jsonl"], "path must be a file, a folder or a hub id; there is no nowhere.jsonl"),
        (["--path=x.jsonl", "--adapter=GMS8K"], "--adapter: unknown class GMS8K; did you mean GSM8K?"),
        (["--path=x.jsonl", "--adaptor=GSM8K"], "unknown option --adaptor; did you mean --adapter"),
        (
            ["--path=x.jsonl", "--adapter=GSM8K"],
            "path must hold a usable row, got 1 rows in x.jsonl (1: the column question is missing), all of them left "
            "out; first x.jsonl:1: GSM8K needs the columns question, answer; the row has post",
        ),
        (["--path=x.jsonl"], "x.jsonl:1: Auto needs a column of prompts (prompt, question,"),
        (["--path=x.jsonl", "--examples=-1"], "examples must be at least 0, got -1"),
        (["--path=empty.jsonl"], "path must hold a usable row, got 0 rows in empty.jsonl\n"),
        (["--path="], "path must name a file, a folder or a hub id, got nothing"),
        (
            ["--path=scalar.json"],
            "path must hold a usable row, got 1 rows in scalar.json (1: the row is not a JSON object), all of them "
            "left out; first scalar.json, item 1",
        ),
        (["--path=x.jsonl", "--adapter=GSM8K", "--max_left_out=2"], "max_left_out must lie in [0, 1], got 2"),
    ],
)
def test_mistakes_are_one_line(words: list[str], line: str, qstar: Call) -> None:
    write("x.jsonl", [{"post": "p"}])
    write("empty.jsonl", [])
    Path("scalar.json").write_text('"text"')
    code, _, err = qstar("data", *words)
    assert code == 2
    assert err.startswith(f"error: {line}"), err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("adapter", "name", "read", "used"),
    [
        ("HHRLHF", "hh_rlhf/helpful-base.test.jsonl.gz", 2354, 2333),
        ("TLDR", "tldr/comparisons_ai_judge_1000.jsonl.gz", 1000, 1000),
        ("HumanEval", "humaneval/HumanEval.jsonl.gz", 164, 164),
        ("WMT", "wmt/wmt_en_ro_fixture_test.jsonl", 20, 20),
    ],
)
def test_real_files(adapter: str, name: str, read: int, used: int, real_data: Path, qstar: Call) -> None:
    code, out, err = qstar("data", f"--adapter={adapter}", f"--path={real_data / name}")
    assert code == 0, err
    assert f"({adapter}): {read} rows read, {used} used\n" in out
    left_out = [int(line.split()[0]) for line in out.splitlines() if " left out: " in line]
    assert sum(left_out) == read - used


def test_messages_under_a_chat_template(qstar: Call) -> None:
    said = [{"role": role, "content": role} for role in ("system", "user", "assistant")]
    write("x.jsonl", [{"messages": said}])
    jinja = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    jinja += "{% if add_generation_prompt %}<assistant>{% endif %}"
    code, out, err = qstar("data", "--path=x.jsonl", "--rendering=ChatRendering", f"--rendering.chat_template={jinja}")
    assert code == 0, err
    assert "  prompt:\n    | <system>system<user>user<assistant>\n  chosen:\n    | assistant\n" in out


def test_own_adapter_beside_the_data(tmp_path: Path) -> None:
    """As the installed script runs it: the current folder is on nobody's path (-P)."""
    (tmp_path / "my_riddles.py").write_text(OWN)
    rows = [json.dumps({"riddle": f"riddle {n}", "meaning": "42"}) + "\n" for n in range(30)]
    (tmp_path / "riddles.jsonl").write_text("".join(rows))

    def run(*words: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, "-P", "-m", "qstar_pl", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    out = run("data", "--adapter=my_riddles.Riddles", "--adapter.shout=true", "--path=riddles.jsonl")
    assert "riddles.jsonl (Riddles): 30 rows read, 30 used" in out
    assert "  fields: row = riddle, meaning" in out
    assert "    | Human: RIDDLE 0" in out
    words = (*SMALL, "--model=SFT", "--trainer.fast_dev_run=true", "--data.path=riddles.jsonl")
    own = ("--data.adapter=my_riddles.Riddles", "--data.val_fraction=0.3", "--data.cache_dir=cache")
    fitted = run("fit", *words, *own)
    assert "Data: riddles.jsonl (Riddles): 30 rows read, 30 used" in fitted
    (file,) = (tmp_path / "cache").iterdir()
    assert f"tokens cached in cache/{file.name}" in fitted
    # Its code may depend on anything: a change of it is seen, though the class and its options have the same names.
    (tmp_path / "my_riddles.py").write_text(OWN.replace('row["riddle"]', 'row["riddle"] + "?"'))
    fitted = run("fit", *words, *own)
    assert f"tokens cached in cache/{file.name}" not in fitted
    assert len(list((tmp_path / "cache").iterdir())) == 2


PAIR = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]


@pytest.mark.parametrize(
    ("model", "row"),
    [
        ("SFT", {"prompt": [PAIR[0]], "completion": [PAIR[1]], "label": True}),
        ("SFT", {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]}),
        ("DPO", {"history": "Why?", "human_ref_A": "So.", "human_ref_B": "No.", "score_A": 9, "score_B": 2}),
    ],
)
def test_fit_and_data_choose_alike_and_count_alike(model: str, row: dict[str, object], qstar: Call) -> None:
    rows = [json.dumps(row).replace("Why?", f"Why {number}?") for number in range(12)]
    Path("x.jsonl").write_text("\n".join([*rows, '{"half": "\\ud83d"}', "nonsense"]))
    code, out, err = qstar("data", "--path=x.jsonl", "--examples=0")
    assert code == 0, err
    options = (f"--model={model}", "--model.reward=null", "--model.gold=null", "--data.path=x.jsonl", *SMALL)
    code, fitted, err = qstar("fit", *options)
    assert code == 0, err
    chosen = next(line for line in out.splitlines() if line.startswith("Auto: "))
    assert chosen in fitted
    assert "14 rows read, 12 used" in out
    assert "  14.3% of all rows are left out" in out.splitlines()
    report = " ".join(fitted.replace("│", " ").split())
    assert "14 rows read, 12 used" in report
    assert "1 left out: the row holds half of a surrogate pair" in report
    code, _, err = qstar("fit", *options, "--data.max_left_out=0.1")
    assert code == 2
    assert err.splitlines()[-1].startswith("error: data.max_left_out must be at least 0.143, the share of x.jsonl")

"""What is said of data names the options of the command that reads them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qstar_pl.data.wording import OF_DATA, OF_GENERATE, announce, speaking, worded
from qstar_pl.errors import UserError

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("said", "generate", "data"),
    [
        ("path must end in .json", "dataset must end in .json", None),
        ("split must be one of a, b", "dataset_split must be one of a, b", None),
        ("there is b too (--data.split)", "there is b too (--dataset_split)", "there is b too (--split)"),
        (
            "--data.adapter=PromptResponse --data.adapter.prompt_field=x",
            "--prompt_field=x",
            "--adapter=PromptResponse --adapter.prompt_field=x",
        ),
        ("read it too: --data.adapter=SHP", "read it too: --dataset_adapter=SHP", "read it too: --adapter=SHP"),
        (
            "--data.adapter=PKUSafeRLHF --data.adapter.by=safer goes",
            """--dataset_adapter '{"class_path": "PKUSafeRLHF", "init_args": {"by": "safer"}}' goes""",
            "--adapter=PKUSafeRLHF --adapter.by=safer goes",
        ),
        ("the path must stay", None, None),
    ],
)
def test_words(said: str, generate: str | None, data: str | None) -> None:
    assert worded(said) == said
    with speaking(OF_GENERATE):
        assert worded(said) == (generate or said)
    with pytest.raises(UserError) as raised, speaking(OF_DATA):
        raise UserError(said)
    assert str(raised.value) == (data or said)
    assert worded(said) == said


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("generate --dataset=nowhere.jsonl", "dataset must be a file, a folder or a hub id; there is no nowhere.jsonl"),
        ("generate --dataset=rowz.jsonl", "there is no rowz.jsonl (did you mean rows.jsonl?)"),
        ("generate --dataset=rows.jsonl", "rows.jsonl:1: Auto needs"),
        ("generate --dataset=rows.jsonl", "bar, foo. --prompt_field=COLUMN names the prompt's, "),
        ("generate --dataset=", "dataset must name a file, a folder or a hub id, got nothing"),
        ("generate --dataset=folder", "dataset must hold a .jsonl, "),
        ("data --path=rows.jsonl", "--adapter=PromptResponse --adapter.prompt_field=COLUMN names the prompt's"),
        ("data --path=", "path must name a file, a folder or a hub id, got nothing"),
        ("fit --data.path=", "path must name a file, a folder or a hub id, got nothing"),
        ("fit --model=SFT --data.path=splits:test", "--data.split=test names a split"),
        ("fit --model=SFT --data.path=splitz:test", "there is no splitz:test here (did you mean splits?)"),
    ],
)
def test_through_the_commands(words: str, line: str, qstar: Call) -> None:
    Path("rows.jsonl").write_text('{"foo": "a", "bar": 3}\n')
    Path("folder").mkdir()
    Path("splits").mkdir()
    for split in ("train", "test"):
        Path(f"splits/{split}.jsonl").write_text('{"prompt": "a", "response": "b"}\n')
    command, *options = words.split()
    needed = ["--model_theta=tiny/policy", "--output=out.jsonl"] if command == "generate" else []
    code, _, err = qstar(command, *needed, *options)
    assert code == 2, err
    assert line in err.splitlines()[-1]
    assert ("--data.adapter" in err) == (command == "fit" and "Auto needs" in err)


def test_what_is_announced_of_rows_is_no_command_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    announce("columns: a\x1b[2J,\n  b\0")
    assert capsys.readouterr().out == "columns: a\\x1b[2J,\n  b\\x00\n"

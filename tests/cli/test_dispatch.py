"""The `qstar` command as its user meets it: exit codes, one line per mistake, help."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning_utilities.core.imports import RequirementCache
from small_run import SMALL

from qstar_pl.cli.dispatch import TRAINER_COMMANDS, commands

Call = Callable[..., tuple[int, str, str]]
PREFERENCE = {"chosen": "\n\nHuman: hi\n\nAssistant: hello", "rejected": "\n\nHuman: hi\n\nAssistant: no"}


def only_line(result: tuple[int, str, str]) -> str:
    """The one line of a user's mistake: exit code 2, nothing after it, no traceback."""
    code, out, err = result
    assert code == 2, (out, err)
    assert "Traceback" not in out + err
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err
    assert err.splitlines()[-1] == lines[0]
    return lines[0].removeprefix("error: ")


def test_help_lists_every_command(qstar: Call) -> None:
    code, out, _ = qstar("--help")
    assert code == 0
    for name in (*TRAINER_COMMANDS, *commands()):
        assert f"  {name} " in out
    assert qstar("help", "configs") == qstar("configs", "--help")
    assert qstar("--version")[0] == 0
    code, out, err = qstar()
    assert (code, out) == (2, "")
    assert "fit" in err


@pytest.mark.parametrize("command", sorted(set(commands()) - set(TRAINER_COMMANDS)))
def test_own_commands_explain_themselves(command, qstar: Call) -> None:
    code, out, _ = qstar(command, "--help")
    assert code == 0
    assert f"qstar {command}" in out


def test_trainer_commands_explain_themselves(qstar: Call) -> None:
    code, out, _ = qstar("fit", "--help")
    assert code == 0
    assert "--model" in out
    assert "--ckpt_path" in out
    code, out, _ = qstar("fit", "--model.help=QStar")
    assert code == 0
    assert "samples_per_prompt" in out


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([json.dumps(PREFERENCE), '{"chosen": "unfinished'], ["rows.jsonl:2", "the row is not JSON", "max_left_out"]),
        ([json.dumps({"prompt": "a", "completion": "b"})], ["chosen"]),
        ([json.dumps({"chosen": 3, "rejected": 4})], ["chosen"]),
    ],
    ids=["malformed row", "columns missing", "wrong type"],
)
def test_bad_rows(rows: list[str], words: list[str], qstar: Call) -> None:
    Path("rows.jsonl").write_text("\n".join(rows) + "\n")
    options = ("--data.path=rows.jsonl", "--data.adapter=HHRLHF", "--data.max_left_out=0.1")
    line = only_line(qstar("fit", *SMALL, *options))
    assert all(word in line for word in words), line


def test_target_with_another_vocabulary(qstar: Call, other_vocabulary: Path) -> None:
    model = f"--model.target.model.name={other_vocabulary}"
    line = only_line(qstar("fit", *SMALL, "--model.target=Expert", "--model.target.model=Pretrained", model))
    assert "vocabulary" in line


@pytest.fixture
def other_vocabulary(tmp_path: Path) -> Path:
    """A causal language model whose tokenizer is not the tiny world's."""
    from tokenizers import Tokenizer, models
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = tmp_path / "other"
    vocabulary = {"<pad>": 0, "<eos>": 1, **{letter: index + 2 for index, letter in enumerate("abc")}}
    fast = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    PreTrainedTokenizerFast(tokenizer_object=fast, pad_token="<pad>", eos_token="<eos>").save_pretrained(folder)
    config = GPT2Config(vocab_size=len(vocabulary), n_embd=8, n_layer=1, n_head=1, eos_token_id=1, pad_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_missing_extras_are_named(qstar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = RequirementCache("wandb>=9999")
    monkeypatch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", absent)
    line = only_line(qstar("fit", *SMALL, "--trainer.logger=WandbLogger"))
    assert line == "wandb is not installed: pip install 'qstar-pl[wandb]'"
    both = Path(__file__).parents[2] / "configs" / "logger" / "wandb.yaml"
    line = only_line(qstar("fit", *SMALL, f"--trainer.logger={both}"))
    assert line == "wandb is not installed: pip install 'qstar-pl[wandb]'"
    for name in ("_TENSORBOARD_AVAILABLE", "_TENSORBOARDX_AVAILABLE"):
        monkeypatch.setattr(f"lightning.fabric.loggers.tensorboard.{name}", absent)
    line = only_line(qstar("fit", *SMALL, "--trainer.logger=TensorBoardLogger", "--trainer.logger.save_dir=runs"))
    assert line == "tensorboard is not installed: pip install 'qstar-pl[tensorboard]'"


def test_full_disk(qstar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "last.ckpt")

    monkeypatch.setattr("lightning.pytorch.trainer.Trainer.save_checkpoint", full)
    words = (*SMALL, "--model.sampler.max_new_tokens=2", "--trainer.max_steps=1", "--trainer.limit_val_batches=0")
    assert only_line(qstar("fit", *words)) == "no space left on the device: last.ckpt"


def test_no_gpu(qstar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning.pytorch.accelerators.CUDAAccelerator.is_available", lambda: False)
    line = only_line(qstar("fit", "--trainer.accelerator=cuda"))
    assert "cuda" in line.lower()


def test_help_says_what_a_field_of_a_strategy_means(qstar: Call) -> None:
    code, out, _ = qstar("fit", "--model.sampler.help=GeometricSampler")
    assert code == 0
    assert "Longest answer, in tokens, EOS included." in out


def test_an_unknown_strategy(qstar: Call) -> None:
    line = only_line(qstar("fit", "--trainer.strategy=fsdp3"))
    assert line == "trainer.strategy must be auto, or a strategy such as ddp, fsdp2 or fsdp, got fsdp3"


def test_print_config_is_a_configuration(qstar: Call) -> None:
    code, out, _ = qstar("fit", "--model.samples_per_prompt=3", "--print_config")
    assert code == 0
    Path("printed.yaml").write_text(out)
    again = qstar("fit", "--config=printed.yaml", "--print_config")
    assert (again[0], again[1]) == (0, out)
    assert "samples_per_prompt: 3" in out


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PL_")} | {"QSTAR_DEBUG": "0"}


def test_the_process(tmp_path: Path) -> None:
    """Exit code and stderr of a real process, in both of its forms, and the traceback on request."""
    module = [sys.executable, "-m", "qstar_pl"]
    script = [str(Path(sys.executable).with_name("qstar"))]
    words = ["fitt"]  # known to be a mistake before anything heavy is imported

    def start(command: list[str], debug: str) -> subprocess.Popen[str]:
        env = environment() | {"QSTAR_DEBUG": debug}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*command, *words], env=env, cwd=tmp_path, **pipes)

    runs = [start(module, "0"), start(script if Path(script[0]).exists() else module, "1")]
    (_, plain), (_, debug) = [run.communicate(timeout=120) for run in runs]
    assert runs[0].returncode == 2
    assert "Traceback" not in plain
    assert plain.splitlines()[-1].startswith("error: ")
    assert runs[1].returncode != 0
    assert "Traceback" in debug
    assert "UserError" in debug


def test_interrupt(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "qstar_pl",
        "fit",
        *SMALL,
        "--model.sampler.max_new_tokens=2",
        "--trainer.max_steps=100000",
        "--trainer.limit_val_batches=0",
    ]
    with (tmp_path / "err").open("w") as err, (tmp_path / "out").open("w") as out:
        # A shell's background job ignores SIGINT, and so do its children unless told otherwise.
        run = subprocess.Popen(
            command,
            env=environment(),
            cwd=tmp_path,
            stdout=out,
            stderr=err,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            deadline = time.monotonic() + 300
            # The first row of metrics is written behind the first step: training is under way.
            while not list(tmp_path.glob("runs/*/*/metrics.csv")) and run.poll() is None:
                assert time.monotonic() < deadline, (tmp_path / "err").read_text()[-2000:]
                time.sleep(0.2)
            run.send_signal(signal.SIGINT)
            code = run.wait(timeout=120)
        finally:
            run.kill()
    err, out = (tmp_path / "err").read_text(), (tmp_path / "out").read_text()
    assert code == 130, err[-2000:]
    assert "Traceback" not in err
    assert "stopped by Ctrl-C" in out
    assert list(tmp_path.glob("runs/*/*/checkpoints/last.ckpt"))


def test_another_package_brings_a_command(qstar: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    information = tmp_path / "letters-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1.0\n")
    points = "[qstar_pl.commands]\ncount-letters = letters_of_words:main\nfit = letters_of_words:main\n"
    (information / "entry_points.txt").write_text(points)
    (tmp_path / "letters_of_words.py").write_text(
        "from qstar_pl.errors import UserError\n\n\n"
        "def main(argv):\n"
        "    if not argv:\n"
        "        raise UserError('words must be given, got none')\n"
        "    print(sum(map(len, argv)))\n"
        "    return 0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert "count-letters" in qstar("--help")[1]
    assert qstar("count-letters", "ab", "c")[:2] == (0, "3\n")
    assert only_line(qstar("count-letters")) == "words must be given, got none"
    assert "did you mean count-letters?" in only_line(qstar("count-leters"))
    # The names of this package's own commands stay its own.
    assert "--model" in qstar("fit", "--help")[1]

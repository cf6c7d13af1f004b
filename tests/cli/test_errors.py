"""One line per mistake, a traceback for a bug."""

import errno
import os

import pytest

from qstar_pl.cli.errors import explain, one_line_errors
from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.sandbox import SandboxError


def raising(error: BaseException):
    def run() -> int:
        raise error

    return run


def chained(outer: BaseException, inner: BaseException) -> BaseException:
    outer.__cause__ = inner
    return outer


class UsageError(Exception):
    """As wandb's, which is not installed everywhere."""

    __module__ = "wandb.errors.errors"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("alpha must lie in [0, 1],\n  got 2.0"), "error: alpha must lie in [0, 1], got 2.0"),
        (chained(RuntimeError("wrapped"), UserError("path must exist")), "error: path must exist"),
        (chained(RuntimeError("wrapped"), SandboxError("cpu_s must be at least 1")), "error: cpu_s must be at least 1"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/a.ckpt"), "error: no space left on the device: runs/a"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.yaml"), "error: No such file or directory: x"),
        (
            RuntimeError("[enforce fail at inline_container.cc:672] . PytorchStreamWriter ... file write failed"),
            "error: no space left on the device, or the file cannot be written",
        ),
        (
            ModuleNotFoundError("Requirement 'wandb>=0.12.10' not met."),
            "error: wandb is not installed: pip install 'qstar-pl[wandb]'",
        ),
        (
            ModuleNotFoundError("Neither `tensorboard` nor `tensorboardX` is available."),
            "error: tensorboard is not installed: pip install 'qstar-pl[tensorboard]'",
        ),
        (
            ModuleNotFoundError("Requirement 'mlflow>=1.0.0' not met. HINT: Try running `pip install -U ...`"),
            "error: mlflow>=1.0.0 is not installed: pip install 'mlflow>=1.0.0'",
        ),
        (
            ValueError(
                "Does not validate against any of the Union subtypes\nErrors:\n  Requirement 'mlflow>=1.0.0' not"
            ),
            "error: mlflow>=1.0.0 is not installed: pip install 'mlflow>=1.0.0'",
        ),
        (UsageError("No API key. Use `wandb login`"), "error: wandb: No API key. Use `wandb login`"),
        (ModuleNotFoundError("No module named 'sentencepiece'", name="sentencepiece"), "error: sentencepiece is not"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_mistakes_are_one_line_and_exit_code_2(error: BaseException, line: str, capsys: pytest.CaptureFixture) -> None:
    assert one_line_errors(raising(error)) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.startswith(line)


@pytest.mark.parametrize("error", [RuntimeError("shape"), KeyError("a"), ImportError("no name x"), AssertionError()])
def test_bugs_keep_their_traceback(error: Exception) -> None:
    assert explain(error) is None
    with pytest.raises(type(error)):
        one_line_errors(raising(error))


def test_debug_shows_the_traceback_of_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSTAR_DEBUG", "1")
    with pytest.raises(UserError):
        one_line_errors(raising(UserError("path must exist")))


@pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0)])
def test_what_every_process_meets_the_first_says(
    rank: str, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("LOCAL_RANK", rank)
    assert one_line_errors(raising(NonFiniteError("loss must be finite, got nan", everywhere=True))) == 2
    assert capsys.readouterr().err.count("\n") == lines
    assert one_line_errors(raising(NonFiniteError("loss must be finite, got nan"))) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_a_message_quotes_is_no_command_to_the_terminal(capsys: pytest.CaptureFixture) -> None:
    assert one_line_errors(raising(UserError("path must be text, got a\x1b[2J\0\tb\n"))) == 2
    assert capsys.readouterr().err == "error: path must be text, got a\\x1b[2J\\x00 b\n"


def test_interrupts_exit_with_130(capsys: pytest.CaptureFixture) -> None:
    assert one_line_errors(raising(KeyboardInterrupt())) == 130

    def as_lightning_does() -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise SystemExit(1)  # noqa: B904 (what is tested is the implicit context)

    assert one_line_errors(as_lightning_does) == 130
    assert capsys.readouterr().err.split() == ["interrupted", "interrupted"]


def test_sigterm_exits_with_143(capsys: pytest.CaptureFixture) -> None:
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    assert one_line_errors(raising(SIGTERMException())) == 143
    assert capsys.readouterr().err.split() == ["terminated"]


@pytest.mark.parametrize(("code", "expected"), [(None, 0), (0, 0), (3, 3)])
def test_exit_codes_pass_through(code: int | None, expected: int) -> None:
    assert one_line_errors(raising(SystemExit(code))) == expected


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("runs/x", "output must name a place that can be used, got runs/x: Permission denied"),
        ("runs", "output must name a place that can be used, got runs/x: Permission denied (runs)"),
        ("runs/x/a.csv", "output must name a place that can be used, got runs/x: Permission denied (runs/x/a.csv)"),
        ("runs/.x.unfinished", "output must name a place that can be used, got runs/x: Permission denied (runs/.x"),
        ("elsewhere", "Permission denied: elsewhere"),
        ("b0.csv", "Permission denied: b0.csv"),
        (".", "Permission denied: ."),
    ],
)
def test_a_place_is_called_by_its_option(file: str, line: str) -> None:
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), file)
    words = ["curves", "a.csv", "--seed=0", "--key=b", "--output", "runs/x"]
    assert (explain(error, words) or "").startswith(line)

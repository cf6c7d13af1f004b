"""From an exception to one line on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from qstar_pl.cli.plug_ins import described, own_failure, own_traceback
from qstar_pl.cli.words import Option, options
from qstar_pl.errors import UserError
from qstar_pl.spelling import without_controls

MISTAKE = 2
INTERRUPTED = 130
TERMINATED = 143
EXTRAS = {"wandb": "wandb", "tensorboard": "tensorboard", "sentencepiece": "sentencepiece", "protobuf": "sentencepiece"}
"""Module that may be missing → the extra of this project that installs it."""

_PEER_IS_GONE = ("Connection closed by peer", "Connection reset by peer", "Timed out waiting", "Broken pipe")
"""What torch's backends say when a collective call fails because of another process."""
_OF_CALLBACKS = ("When using the learning rate finder",)
"""How errors of Lightning's callbacks begin that say that a callback does not suit the method."""
# Lightning on a metric that was never logged: EarlyStopping, then ModelCheckpoint.
_UNKNOWN_METRIC = re.compile(r"^Early stopping conditioned on metric `(?P<monitor>.*?)` .* following: (?P<known>.*)$")
_UNSEEN = re.compile(r"^`ModelCheckpoint\(monitor='(?P<monitor>.*?)'\)` could not find .* metrics: \[(?P<known>.*?)\]")
_REQUIREMENT = re.compile(r"Requirement '(?P<package>[^']+)'|No module named|is available\. Try `pip install`")
# Part of the path of every file of Lightning, by which a traceback tells whose code raised an error.
_LIGHTNING = f"{os.sep}lightning{os.sep}pytorch{os.sep}"


def debugging() -> bool:
    """Return whether the user asked for tracebacks."""
    return os.environ.get("QSTAR_DEBUG", "0") not in ("", "0")


def say(message: str) -> None:
    """Print a message as one line on stderr, with its white space joined and without control characters."""
    print(f"error: {without_controls(' '.join(message.split()))}", file=sys.stderr, flush=True)


def one_line_errors(run: Callable[[], int], words: Sequence[str] = ()) -> int:
    """Call `run` and return its exit code; a mistake that the user can fix becomes one line and exit code 2.

    Anything else is a bug, of this project or of a user's own class, and keeps its traceback.

    Args:
        run: what the command does.
        words: of the command line, so that a file that cannot be opened can be called by its option.

    """
    try:
        code = run()
        sys.stdout.flush()  # while an error of the last lines can still be said
        return code
    except KeyboardInterrupt:
        return _interrupted()
    except SystemExit as stop:
        # Lightning turns Ctrl-C into exit(1), which does not tell the shell what happened.
        if isinstance(stop.__context__, KeyboardInterrupt):
            return _interrupted()
        if type(stop).__name__ == "SIGTERMException":  # Lightning's, which has no code
            print("\nterminated", file=sys.stderr, flush=True)
            return TERMINATED
        if isinstance(stop.code, str):
            say(stop.code)
            return MISTAKE
        return int(stop.code or 0)
    except Exception as error:
        message = explain(error, words)
        if message is None or debugging():
            raise
        if not _is_said_by_the_first(error):
            say(message)
        return MISTAKE


def _is_said_by_the_first(error: Exception) -> bool:
    """Return whether the first process of this machine prints the same line."""
    # Only an error that every process raises (`everywhere`) is sure to be printed by the first.
    everywhere = any(isinstance(link, UserError) and link.everywhere for link in chain(error))
    return everywhere and os.environ.get("LOCAL_RANK", "0") != "0"


def _interrupted() -> int:
    if debugging():
        traceback.print_exc()
    print("\ninterrupted", file=sys.stderr, flush=True)
    return INTERRUPTED


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, what caused it, what caused that, and so on."""
    seen: set[int] = set()  # `raise … from …` can make a chain a cycle
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__  # `raise … from …`, else what was being handled


def user_error(error: BaseException) -> str | None:
    """Return the message of the first `UserError` or `SandboxError` among the causes of an exception."""
    from qstar_pl.sandbox import SandboxError  # no UserError, since the sandbox imports nothing of this project

    return next((str(link) for link in chain(error) if isinstance(link, UserError | SandboxError)), None)


def explain(error: BaseException, words: Sequence[str] = ()) -> str | None:
    """Return the one line for a mistake that the user can fix, None for anything else.

    A `UserError` counts wherever it stands in the chain of causes: jsonargparse and Lightning wrap what they catch.
    """
    if (own := user_error(error)) is not None:
        return own
    if _is_of_the_parser(error) and (bug := own_failure(list(chain(error))[1:])) is not None:
        print(own_traceback(bug), end="", file=sys.stderr)
        return described(bug)
    for link in (error, error.__cause__):
        if link is not None and (message := _explain_one(link, words)) is not None:
            return message
    if isinstance(error, Exception) and _while_restoring(error):
        what = f"{type(error).__name__}: {first_sentence(str(error))}"
        return f"ckpt_path must be a checkpoint that this run can go on from, got one that does not restore ({what})"
    return first_sentence(str(error)) if _is_an_option_lightning_refuses(error) else None


def _is_of_the_parser(error: BaseException) -> bool:
    """Return whether an exception says that a class could not be built: the parser keeps only the words of its own."""
    return type(error) is ValueError and "Does not validate against any of the Union subtypes" in str(error)


def _while_restoring(error: BaseException) -> bool:
    """Return whether an exception arose while Lightning restored a checkpoint."""
    # Such errors are of any type (KeyError, RuntimeError of a state dict, …): only the place tells them apart.
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_filename.endswith("checkpoint_connector.py") for frame, _ in frames if _restores(frame))


def _restores(frame: FrameType) -> bool:
    return "restore" in frame.f_code.co_name or "resume" in frame.f_code.co_name


def _explain_one(error: BaseException, words: Sequence[str]) -> str | None:
    match error:
        case ImportError():
            return _missing(f"{error.name or ''} {error}")
        case OSError():
            return _explain_os(error, words)
    text = str(error)
    kind = type(error).__name__
    if kind == "ValueError" and text == "embedded null byte":
        return "names of files and folders must not hold a null byte; name is one of them"
    if "file write failed" in text and "PytorchStreamWriter" in text:
        return f"no space left on the device, or the file cannot be written: {text.splitlines()[0]}"
    if kind == "DistBackendError" or any(word in text for word in _PEER_IS_GONE):
        return "another process of this run ended, or did not answer in time (trainer.strategy.timeout_s); it says why"
    if kind == "OutOfMemoryError":
        return f"not enough memory: {first_sentence(text)} Lower data.batch_size or model.samples_per_prompt."
    if match := _UNKNOWN_METRIC.match(text):
        known = match["known"].replace("`", "")
        return f"monitor of EarlyStopping must be a metric that the run logs, got {match['monitor']}; logged: {known}"
    if match := _UNSEEN.match(text):
        from qstar_pl.cli.runs.monitors import NO_BEST, unknown_monitor

        known = match["known"].replace("'", "").split(", ")
        return str(unknown_monitor("monitor of ModelCheckpoint", match["monitor"], NO_BEST, known))
    if kind == "MisconfigurationException" or any(words in text for words in _OF_CALLBACKS):
        return first_sentence(text)
    if _is_of_the_parser(error):
        from qstar_pl.cli.messages import essence

        # For a list of loggers, the missing package is named deep among the reasons why each other type does not fit.
        missing = next((_missing(line) for line in text.splitlines() if _REQUIREMENT.search(line)), None)
        return missing or essence(text)
    if type(error).__module__.startswith("wandb.errors"):
        return f"wandb: {' '.join(text.split())}"
    return None


def _is_an_option_lightning_refuses(error: BaseException) -> bool:
    """Return whether Lightning raised a ValueError: some options it checks only once it knows model and data."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return type(error) is ValueError and bool(files) and _LIGHTNING in files[-1]


def _explain_os(error: OSError, words: Sequence[str]) -> str | None:
    where = f": {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the device{where}"
    if error.errno == errno.EFBIG:
        return f"a file must not be larger than the limit on the sizes of files (ulimit -f) allows{where}"
    if error.errno is None or not error.strerror:
        return None
    if isinstance(error.filename, str) and (named := _naming(Path(error.filename), words)) is not None:
        got = "" if named.value == error.filename else f" ({error.filename})"
        name = named.name.lstrip("-")
        return f"{name} must name a place that can be used, got {named.value}: {error.strerror}{got}"
    return f"{error.strerror}{where}"


def _naming(path: Path, words: Sequence[str]) -> Option | None:
    """Return the option whose value leads to a file: it is that, is beside it, is in it, or is a folder on the way."""
    path, here = path.absolute(), Path.cwd()
    given = [(one, Path(one.value).absolute()) for one in options(words) if one.name and one.value]
    # The nearest counts: a value such as 0, which is no path, must not take a file of this folder for its own.
    ways: tuple[Callable[[Path], bool], ...] = (
        lambda place: path == place,
        # As what is not finished is called: .a.csv.unfinished, a.jsonl.work.
        lambda place: path.parent == place.parent and path.name.lstrip(".").startswith(f"{place.name}."),
        lambda place: path.is_relative_to(place),
        # The working folder is on the way to every relative value, whatever it means.
        lambda place: place.is_relative_to(path) and not here.is_relative_to(path),
    )
    return next((one for leads in ways for one, place in given if leads(place)), None)


def _missing(line: str) -> str | None:
    """Return how to install what a line says is missing, None if it names nothing."""
    match = _REQUIREMENT.search(line)
    package = match["package"] if match else None
    return _missing_extra(line) or (package and f"{package} is not installed: pip install '{package}'")


def _missing_extra(text: str) -> str | None:
    for module, extra in EXTRAS.items():
        if re.search(rf"\b{module}", text.lower()):
            return f"{module} is not installed: pip install 'qstar-pl[{extra}]'"
    return None


def first_sentence(text: str) -> str:
    """Return the first sentence of a text of any number of lines."""
    flat = " ".join(text.split())
    return re.split(r"(?<=[.!?])\s", flat, maxsplit=1)[0]

"""Every command in README.md and docs/ is one that works as it is printed.

A command is a line of a fenced or indented block, or a code span, that begins with `qstar`, `just`, `./dev` or
`python`. All of them are parsed by the parsers that they would meet: trainer commands (also behind srun, torchrun,
`qstar plan`) up to `--print_config`, which resolves configuration files, classes and checkpoints; tools and benchmarks
up to the arguments that they would start with; recipes by name. What a block needs that the blocks
before it do not make (files of data, checkpoints) is put there under the printed name, with invented rows and untrained
models.

Run for real are, here, what reads data, exports, plots, plans or judges programs, and a training; under `slow`, every
block of commands from its first line to its last, with sizes cut down by options at the end. Parsed only: what needs
several GPUs (docs/cluster.md), the recipe of the tests themselves, and benchmarks, which take minutes to hours.
The pages of docs/cookbook and the walkthrough are followed from end to end by test_cookbook.py and
test_walkthrough.py.
"""

import argparse
import gzip
import importlib
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from documents import COOKBOOK, DOCUMENTS, REPOSITORY, Command, blocks, commands_of, documented, name_of
from small_run import SMALL

from qstar_pl.cli import main
from qstar_pl.cli.dispatch import TRAINER_COMMANDS, commands, module_of

TOOLS = {name: module_of(name) for name in commands() if name not in TRAINER_COMMANDS}
CHEAP = ("data", "export", "curves", "plan", "pass-at-k", "validate")
"""What is run for real in the fast part, beside one training."""


def label(command: Command) -> str:
    return f"{command.where}: {' '.join(command.words)}"[:110]


FOLLOWED = [*COOKBOOK, REPOSITORY / "docs" / "walkthrough.md"]
"""Documents with a test of their own, which does all that they say."""
COMMANDS_IN_DOCS = [one for one in documented() if one.where not in {name_of(page) for page in FOLLOWED}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone's configurations and benchmarks, and what the documents take for granted under its printed names."""
    place = tmp_path_factory.mktemp("documented")
    for name in ("configs", "benchmarks", "Justfile"):
        (place / name).symlink_to(REPOSITORY / name)
    with chdir(place), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PL_GLOBAL_SEED", "0")
        patch.setenv("PL_SEED_WORKERS", "0")
        write_data()
        words = ("fit", *SMALL, "--trainer.max_steps=1", "--trainer.limit_val_batches=0")
        short = ("--model.sampler.max_new_tokens=2", "--model.samples_per_prompt=2")
        assert main([*words, "--model=DPO"]) == 0
        assert main([*words, *short]) == 0
        for name in ("hh_rlhf_smoke", "priced"):
            shutil.copytree("runs/q_star", f"runs/{name}")
    return place


def write_data() -> None:
    """Invented rows under every name of a file that the documents read."""
    numbers = range(40)
    questions = [{"question": f"What is {n} + 1?", "answer": f"Count on.\n#### {n + 1}"} for n in numbers]
    prompt = "\n\nHuman: what does the {} otter eat?\n\nAssistant:"
    pairs = [{"chosen": prompt.format(n) + " Fish.", "rejected": prompt.format(n) + " No."} for n in numbers]
    head = 'def add(a, b):\n    """Sum."""\n'
    test = "def check(candidate):\n    assert candidate(1, 2) == 3\n"
    problem = {"task_id": "Own/0", "prompt": head, "entry_point": "add", "test": test}
    files = {
        "hh_rlhf.jsonl.gz": pairs,
        "train.jsonl.gz": questions,
        "questions.jsonl": questions,
        "rows.jsonl": questions,
        "file.jsonl": questions,
        "HumanEval.jsonl.gz": [{**problem, "canonical_solution": "    return a + b\n"}],
        "samples.jsonl": [{"task_id": "Own/0", "completion": "    return a + b\n"}] * 2,
    }
    for name, rows in files.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        Path(name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


class ParsedError(Exception):
    """Raised in place of what a program does with its arguments."""

    def __init__(self, left: list[str]) -> None:
        self.left = left


@pytest.fixture
def parse_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs stop once their words are parsed; words that none of their options takes are in `ParsedError.left`."""
    known = argparse.ArgumentParser.parse_known_args

    def parse_known_args(self: argparse.ArgumentParser, args: object = None, namespace: object = None) -> object:
        _, left = known(self, args, namespace)
        raise ParsedError(left)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", parse_known_args)


def leftover(module: str, words: list[str]) -> list[str]:
    with pytest.raises(ParsedError) as parsed:
        importlib.import_module(module).main(words)
    return parsed.value.left


def resolve(command: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the trainer's parser is an argparse one as well
    assert main([command, *words, "--print_config"]) == 0


def check_qstar(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    command, rest = (words[0], words[1:]) if words else ("--help", [])
    if "--help" in (command, *rest) or command == "--version":
        monkeypatch.undo()
        assert main(words or ["--help"]) == 0
    elif command in TRAINER_COMMANDS and rest:
        resolve(command, rest, monkeypatch)
    elif command in ("data", "evaluate", "generate", "tournament") and rest:
        importlib.import_module(TOOLS[command]).parse(rest)
    elif command in ("plan", "experiment", "quickstart") and rest:
        left = leftover(TOOLS[command], rest)  # is `qstar fit`'s
        if command == "plan":
            resolve("fit", left, monkeypatch)
        assert command == "plan" or not left
    elif rest:
        assert leftover(TOOLS[command], rest) == []
    else:
        assert command in TOOLS or command in TRAINER_COMMANDS  # plain, it has nothing to parse


def check_benchmark(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path(words[0])
    assert script.is_file()
    source = script.read_text()
    if "argparse" not in source:
        assert words[1:] == []
        compile(source, str(script), "exec")
        return
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(ParsedError) as parsed:
        runpy.run_path(str(script), run_name="__main__")
    assert parsed.value.left == []


@pytest.mark.parametrize("command", COMMANDS_IN_DOCS, ids=label)
def test_every_command_is_understood(
    command: Command, folder: Path, parse_only: None, monkeypatch: pytest.MonkeyPatch, lightning: None
) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    program, *words = command.words
    with chdir(folder):
        if program == "qstar":
            check_qstar(words, monkeypatch)
        elif program == "just":
            recipes = re.findall(r"^([a-z][\w-]*)(?: [^\n:]*)?:", Path("Justfile").read_text(), re.M)
            recipe, *options = words or ["default"]
            assert recipe in recipes
            if recipe == "bench" and options:
                check_benchmark([f"benchmarks/{options[0]}.py", *options[1:]], monkeypatch)
            elif recipe in TOOLS:
                check_qstar(words, monkeypatch)
        else:
            assert program == "python", command
            check_benchmark(words, monkeypatch)


def small(command: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """Options that cut a command down, whatever it says itself."""
    if command not in ("fit", "validate", "test"):
        if command == "experiment" and "--config" not in words:
            return ("--dry_run",)
        return {"experiment": ("--seeds", "1", *SMALL, "--trainer.max_steps=1"), "generate": ("--end_idx", "2")}.get(
            command, ()
        )
    if "--data" in words:  # a group file: its arguments are behind init_args
        return (*(word.replace("--data.", "--data.init_args.") for word in SMALL), "--trainer.max_steps=1")
    # Without any of these it is the default method, which samples: most of its time.
    samples = not any(re.match(r"--(model|config|ckpt_path)(=|$)", word) for word in words)
    short = ("--model.sampler.max_new_tokens=4",) if samples else ()
    return (*SMALL, *(("--trainer.max_steps=1", *short) if command == "fit" else ()))


def run(words: tuple[str, ...]) -> None:
    """Run a command of qstar in this process, anything else in a shell."""
    if words[0] != "qstar":
        subprocess.run(words, check=True, capture_output=True)
        return
    expanded: list[str] = []
    for word in words[1:]:
        expanded += sorted(str(path) for path in Path().glob(word)) if "*" in word and "/" in word else [word]
    assert main([*expanded, *small(words[1], words)]) == 0


CHEAP_COMMANDS = [one for one in COMMANDS_IN_DOCS if one.words[0] == "qstar" and one.words[1:2] and one.words[2:]]
CHEAP_COMMANDS = [one for one in CHEAP_COMMANDS if one.words[1] in CHEAP and "cluster" not in " ".join(one.words)]


@pytest.mark.parametrize("command", [*CHEAP_COMMANDS, Command("README.md", ("qstar", "fit"))], ids=label)
def test_cheap_commands_run(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, lightning: None) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    run(command.words)


@pytest.mark.parametrize("command", COMMANDS_IN_DOCS, ids=label)
def test_nothing_is_left_to_be_filled_in(command: Command) -> None:
    assert [word for word in command.words if re.search(r"^(?:[A-Z]|FILE|FOLDER)$|…|\.\.\.|<.*>", word)] == []


@pytest.mark.slow
@pytest.mark.parametrize("document", [one for one in DOCUMENTS if one not in FOLLOWED], ids=name_of)
def test_every_block_runs(document: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, lightning: None) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    gpus = ("cluster", "fsdp2", "ddp", "srun", "torchrun")
    for block in blocks(document):
        for words in block:
            text = " ".join(words)
            if words[0] in ("qstar", "printf") and not any(word in text for word in gpus):
                if words[0] == "printf":
                    subprocess.run(["bash", "-c", shlex.join(words).replace("'>'", ">")], check=True)
                else:
                    run(words)


def test_the_reader_of_documents_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "See `qstar fit --model=DPO`, `not this`, and\n\n    just bench kills   # minutes\n\n```bash\n"
        'w="--a=1 --b"\nqstar data \\\n  --path x $w  # why\nsrun qstar fit --ckpt_path auto\npip install x\n```\n'
        "```python\nqstar = 1\n```\n"
    )
    assert sorted(commands_of(tmp_path / "a.md")) == [
        ("just", "bench", "kills"),
        ("qstar", "data", "--path", "x", "--a=1", "--b"),
        ("qstar", "fit", "--ckpt_path", "auto"),
        ("qstar", "fit", "--model=DPO"),
    ]
    assert len(COMMANDS_IN_DOCS) > 40

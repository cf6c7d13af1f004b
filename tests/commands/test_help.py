"""Help answers at once: a command says what it takes before it imports what it needs."""

import importlib
import shlex
import subprocess
import sys
from contextlib import nullcontext

import pytest

from qstar_pl.cli import main
from qstar_pl.cli.dispatch import TRAINER_COMMANDS, commands, module_of
from qstar_pl.cli.help_format import described
from qstar_pl.cli.tool_parser import ToolParser

BY_CLASSES = {"data", "evaluate", "generate", "tournament"}
"""Their options are those of classes."""
HEAVY = {"torch", "transformers", "datasets", "lightning", "jsonargparse", "matplotlib", "rich"}


def test_help_imports_nothing_heavy() -> None:
    light = sorted(set(commands()) - set(TRAINER_COMMANDS) - BY_CLASSES)
    assert {"analyze", "export", "pass-at-k", "quickstart", "theory"} <= set(light)
    code = f"""
import sys
from qstar_pl.cli import main
for command in {light}:
    assert main([command, "--help"]) == 0
    assert not {HEAVY} & set(sys.modules), (command, {HEAVY} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class ParsedError(Exception):
    """Raised in place of running a command; holds the words that go on to `qstar fit`."""


@pytest.mark.parametrize("command", sorted(commands()))
def test_examples_are_valid_command_lines(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(module_of(command))
    _, examples = described(module.__doc__)
    parse = ToolParser.parse_known_args

    def stop(self: ToolParser, *words: object) -> None:
        raise ParsedError(parse(self, *words)[1])

    monkeypatch.setattr(ToolParser, "parse_known_args", stop)
    for line in examples.splitlines()[1:]:
        program, named, *words = shlex.split(line, comments=True)
        assert (program, named) == ("qstar", command), line
        left = words
        if command in BY_CLASSES:
            with pytest.raises(SystemExit) if any(word.endswith(".help") for word in words) else nullcontext():
                module.parse(words)
            continue
        if command not in TRAINER_COMMANDS:
            with pytest.raises(ParsedError) as parsed:
                module.main(words)
            left = parsed.value.args[0]
        if left or command in TRAINER_COMMANDS:
            name = command if command in TRAINER_COMMANDS else "fit"
            assert main([name, *left, "--print_config"]) == 0, line

"""Help answers at once: a command says what it takes before it imports what it needs."""

import subprocess
import sys

from qstar_pl.cli.dispatch import TRAINER_COMMANDS, commands

BY_CLASSES = {"data", "generate"}
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

import shlex
import subprocess
from pathlib import Path

import pytest
from small_experiment import runs

from qstar_pl.errors import UserError
from qstar_pl.experiments.running.launcher import Local, Slurm, Template, launcher


def test_names_and_templates() -> None:
    assert launcher("local") == Local()
    assert launcher("slurm") == Slurm()
    assert launcher("nice {command}") == Template("nice {command}")
    with pytest.raises(UserError, match=r"launcher must be local, slurm, or a template with \{command\} or \{quoted\}"):
        launcher("ssh host")
    with pytest.raises(UserError, match=r"launcher must be a command that /bin/sh can read, got nice '\{command\} \("):
        launcher("nice '{command}")


def test_a_second_shell_gets_one_word_in_this_folder(isolated: Path) -> None:
    run = runs(Path("out with space"))[0]
    shell = Template("printf '<%s>' host {quoted}")._argv(run)
    said = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
    assert said == f"<host><cd {isolated} && {shlex.join(run.argv)}>"


def test_a_template_runs_what_it_is_given(isolated: Path) -> None:
    run = runs(Path("out"))[0]
    said = subprocess.run(Template("printf '<%s>' {command}")._argv(run), capture_output=True, text=True, check=True)
    assert said.stdout == "".join(f"<{word}>" for word in run.argv)

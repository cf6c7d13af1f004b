"""The commands of docs/generation.md, as printed, one after another in an empty folder."""

import re
import shlex
import subprocess
from pathlib import Path


def commands(text: str) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def test_every_command_runs_as_printed(qstar, repository):
    Path("configs").symlink_to(repository / "configs")
    printed = commands((repository / "docs" / "generation.md").read_text(encoding="utf-8"))
    assert sum(line.startswith("qstar ") for line in printed) == 6
    for line in printed:
        if line.startswith("qstar "):
            code, _, err = qstar(*shlex.split(line)[1:])
            assert code == 0, f"{line}\n{err}"
        else:
            subprocess.run(["bash", "-c", line], check=True)
    for name in ("data/q_star.jsonl", "data/analysis/kl.png", "runs/generation/q_star.jsonl"):
        assert Path(name).is_file(), name
    assert len(Path("data/q_star.jsonl").read_text().splitlines()) == 80

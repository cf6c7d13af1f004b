"""docs/walkthrough.md, followed from its first line to its last in an empty folder."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from documents import REPOSITORY, files_of, shell_lines, snippets, split
from small_run import SMALL

PAGE = REPOSITORY / "docs" / "walkthrough.md"
CUT = {
    "fit": (*SMALL, "--trainer.max_steps=1", "--trainer.limit_val_batches=0"),
    "validate": SMALL,
    "test": (*SMALL, "--model.evaluation_sampler.max_new_tokens=4"),
    "generate": ("--max_new_tokens=4",),
}


def test_every_step_works_and_leads_to_the_next(qstar: Callable[..., tuple[int, str, str]], isolated: Path) -> None:
    for name, text in files_of(PAGE).items():
        Path(name).write_text(text)
    steps = 0
    for line in shell_lines(PAGE):
        words = split(line)
        if words[0] != "qstar":
            subprocess.run(["bash", "-c", line], check=True)
            continue
        cut = list(CUT.get(words[1], ()))
        if "--ckpt_path" in words and words[1] == "fit":  # it goes on: one step more
            cut[cut.index("--trainer.max_steps=1")] = "--trainer.max_steps=2"
        code, _, err = qstar(*words[1:], *cut)
        assert code == 0, f"{line}\n{err}"
        steps += 1
    assert steps == 10
    assert "tfevents" in " ".join(path.name for path in Path("runs/tensorboard").rglob("*"))
    assert Path("reward.png").stat().st_size > 0
    assert Path("pets_answers.jsonl").read_text().count("\n") == 8
    (snippet,) = snippets(PAGE)
    exec(compile(snippet, PAGE.name, "exec"), {"__name__": "reader"})

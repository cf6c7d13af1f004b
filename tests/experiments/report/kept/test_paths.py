"""What is kept names no place of the machine."""

from pathlib import Path

import pytest

from qstar_pl.experiments.report.kept.paths import without_machine


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "qstar fit --trainer.default_root_dir=/home/me/out/cells/ppo --seed_everything=0",
            "qstar fit --trainer.default_root_dir=runs/experiments/mvp_tiny/cells/ppo --seed_everything=0",
        ),
        ("'/home/me/out/tuning/ppo-0.33'", "'runs/experiments/mvp_tiny/tuning/ppo-0.33'"),
        ("No such file: '/data/models/policy.bin'", "No such file: 'policy.bin'"),
        (
            "--trainer.default_root_dir=runs/experiments/a/cells/b",
            "--trainer.default_root_dir=runs/experiments/a/cells/b",
        ),
        ("--config=experiment/tiny_ppo: 3/4 of ESS_θ/ESS_t", "--config=experiment/tiny_ppo: 3/4 of ESS_θ/ESS_t"),
        ("https://example.org/a/b", "https://example.org/a/b"),
    ],
)
def test_paths_become_relative(text: str, kept: str) -> None:
    assert without_machine({"runs": [{"command": text, "seed": 1}], "tuning": None}, "mvp_tiny") == {
        "runs": [{"command": kept, "seed": 1}],
        "tuning": None,
    }


def test_what_lies_below_the_current_folder_is_told_from_there_on(isolated: Path) -> None:
    assert without_machine(f"--model.path={Path.cwd()}/models/small", "mvp_tiny") == "--model.path=models/small"

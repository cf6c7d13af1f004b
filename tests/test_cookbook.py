"""Every page of docs/cookbook, as its reader would use it: the file in an empty folder, the commands of the page."""

import csv
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from documents import COOKBOOK, recipe, shell_lines, snippets, split
from small_run import SMALL

Call = Callable[..., tuple[int, str, str]]
SHORT = ("--trainer.limit_val_batches=0", "--model.sampler.max_new_tokens=4", "--model.samples_per_prompt=2")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """The working folder; what a page's file defines is forgotten again."""
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def cut_down(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return options that make a page's command short, whatever it says itself."""
    if words[1] not in ("fit", "validate"):
        return ("--max_new_tokens=4",) if words[1] == "generate" else ()
    if words[1] == "validate":
        return (*SMALL, "--model.evaluation_sampler.max_new_tokens=4")
    return (*SMALL, *(SHORT[:1] if "--model=DPO" in words else SHORT))


def logged(run: Path) -> list[dict[str, float]]:
    with (run / "version_0" / "metrics.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.fixture
def follow(qstar: Call, own: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Do what a page says: page → what each of its commands printed."""

    def run(page: str) -> list[str]:
        monkeypatch.syspath_prepend(own)
        recipe(page, own)
        (path,) = (path for path in COOKBOOK if path.stem == page)
        printed = []
        for line in shell_lines(path):
            words = split(line)
            if words[0] != "qstar":
                subprocess.run(["bash", "-c", line], check=True, cwd=own)
                continue
            code, out, err = qstar(*words[1:], *cut_down(words))
            assert code == 0, err
            printed.append(out)
        return printed

    return run


def _defensive(printed: list[str]) -> None:
    row = logged(Path("runs/defensive"))[0]
    assert row["alpha/mean"] == pytest.approx(0.3)
    assert row["weights/max"] <= (1 / 0.3) ** 4 + 1e-6  # 4 tokens, none of which weighs more than 1/λ


def _both(printed: list[str]) -> None:
    rows = [row for row in logged(Path("runs/both")) if "loss/distil" in row]
    assert len(rows) == 4  # two, and two more after it went on
    contents = torch.load("runs/both/version_0/checkpoints/last.ckpt", weights_only=True)
    assert contents["global_step"] == 4
    assert {name.split(".")[0] for name in contents["state_dict"]} == {"policy"}
    for row in rows:
        assert row["loss/total"] == pytest.approx(row["loss/reinforce"] + 0.25 * row["loss/distil"], rel=1e-4)


def _tickets(printed: list[str]) -> None:
    assert "11 rows read, 9 used" in printed[0]
    assert "the replies are about equally good" in printed[0]
    assert "column" in printed[0]
    assert "Door 1" in printed[0]


def _distinct(printed: list[str]) -> None:
    (run,) = Path("runs").rglob("metrics.csv")
    row = logged(run.parent.parent)[0]
    assert 0 < row["val/distinct_1"] <= 1


def _less_repetitive(printed: list[str]) -> None:
    (run,) = Path("runs").rglob("metrics.csv")
    row = logged(run.parent.parent)[0]
    assert row["val/win_rate/no_verdict"] < 1
    assert 0 <= row["val/win_rate"] <= 1
    assert "2 methods on 20 prompts: 20 comparisons" in printed[1]
    assert "judge LessRepetitive(n=2, margin=0.0)" in printed[1]


def _flattened(printed: list[str]) -> None:
    assert Path("tempered.jsonl").read_text().count("\n") == 4


def _held(printed: list[str]) -> None:
    assert len([row for row in logged(Path("runs/held")) if "kl/policy_reference" in row]) == 4
    contents = torch.load("runs/held/version_0/checkpoints/last.ckpt", weights_only=True)
    (state,) = (state for name, state in contents["callbacks"].items() if "HoldDivergence" in name)
    # Four prices, each lower than the one before by a tenth, since the policy has hardly moved from where it started.
    assert state["price"] == pytest.approx(0.05 * 0.9**4, rel=0.05)


def _compared(printed: list[str]) -> None:
    assert printed[0].splitlines() == ["  sharp: ran", "  flat: ran"]
    assert printed[1].count("qstar fit --config=experiment/tiny_q_star") == 4
    results = json.loads(Path("results/results.json").read_text())
    assert {run["cell"] for run in results["runs"]} == {"sharp", "flat"}
    assert Path("results/report/index.html").stat().st_size > 10_000


CHECKS = {
    "callback": _held,
    "experiment": _compared,
    "law": _defensive,
    "method": _both,
    "adapter": _tickets,
    "metric": _distinct,
    "judge": _less_repetitive,
    "sampler": _flattened,
}


RUNS = {
    "alpha": ("alpha/mean", "kl/gap"),
    "law": ("weights/max", "weights/cv", "kl/behavior_policy", "kl/behavior_target"),
    "reward": ("reward/mean", "reward/gold", "completion/length_mean"),
    "target": ("alpha/mean", "ess/ratio", "kl/behavior_target", "weights/cv"),
    "weights": ("weights/cv",),
    "sampler": ("ess/policy", "ess/target", "ess/ratio"),
    "method": ("loss/reinforce", "loss/distil"),
    "diagnostic": ("weights_token/far_fraction",),
    "callback": ("kl/policy_reference", "reward/mean"),
    "experiment": (),
    "adapter": (),
    "metric": (),
    "judge": ("val/win_rate",),
}
"""Page → the keys that it tells the reader to look at."""


def test_every_page_is_followed() -> None:
    assert set(RUNS) == {page.stem for page in COOKBOOK}


LONG = {"experiment"}
"""Pages whose commands take a minute; what is quick of them has a test of its own."""


def test_the_experiment_is_rehearsed(qstar: Call, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(own)
    recipe("experiment", own)
    code, out, err = qstar("experiment", "flattening.yaml", "--rehearse")
    assert code == 0, err
    assert out.splitlines() == ["  sharp: ran", "  flat: ran"]


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.slow) if page in LONG else page for page in RUNS]
)
def test_the_commands_of_a_page_work(page: str, follow: Callable[[str], list[str]]) -> None:
    printed = follow(page)
    text = next(path for path in COOKBOOK if path.stem == page).read_text()
    runs = sorted(path.parent.parent for path in Path("runs").rglob("metrics.csv")) if Path("runs").exists() else []
    for run in runs if RUNS[page] else []:
        row = logged(run)[0]
        for key in RUNS[page]:
            assert f"`{key}`" in text, key
            assert math.isfinite(row[key])
    CHECKS.get(page, len)(printed)


@pytest.mark.parametrize("page", [page for page in COOKBOOK if snippets(page)], ids=lambda path: path.stem)
def test_the_python_of_a_page_works(
    page: Path, own: Path, isolated: Path, monkeypatch: pytest.MonkeyPatch, lightning: None
) -> None:
    monkeypatch.syspath_prepend(own)
    recipe(page.stem, own)
    for snippet in snippets(page):
        exec(compile(snippet, page.name, "exec"), {"__name__": "reader"})

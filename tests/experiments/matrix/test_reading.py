"""Experiments as YAML: those that are shipped, and every mistake in one line with its place."""

from pathlib import Path

import pytest

from qstar_pl.cli.shipped import configuration
from qstar_pl.errors import UserError
from qstar_pl.experiments.matrix import Budget, Tune, read_experiment, variants_of

FOLDER = Path(__file__).resolve().parents[3] / "configs" / "experiments"
SHIPPED = [(file.stem, variant) for file in sorted(FOLDER.glob("*.yaml")) for variant in variants_of(file)]
GOOD = """\
title: A title
question: Why?
axes:
  alpha:
    low: {model.sampler.alpha: FixedAlpha, model.sampler.alpha.value: 0.3}
    kl: {model.sampler.alpha: KLSymmetricAlpha}
report: {baseline: q_star-kl, comparisons: [[q_star-kl, q_star-low]]}
tiny:
  methods:
    q_star: experiment/tiny_q_star
    uniform: {config: experiment/tiny_uniform_alpha, options: {data.batch_size: 8}}
  options: {model.sampler.alpha: EntropyAlpha, trainer.log_every_n_steps: 1}
  seeds: [3, 5]
  budget: {samples: 3200}
"""


def read(text: str, tmp_path: Path, variant: str = "tiny"):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    return read_experiment(file, variant, configuration)


@pytest.mark.parametrize(("name", "variant"), SHIPPED)
def test_shipped(name: str, variant: str) -> None:
    found = read_experiment(FOLDER / f"{name}.yaml", variant, configuration)
    names = [cell.name for cell in found.cells]
    assert len(set(names)) == len(names) > 1
    assert found.baseline in names
    assert len(found.seeds) >= 3
    if variant == "tiny":
        assert found.minutes is not None
        assert found.threads == 1


def test_cells_are_methods_times_levels(tmp_path: Path) -> None:
    found = read(GOOD, tmp_path)
    assert [cell.name for cell in found.cells] == ["q_star-low", "q_star-kl", "uniform-low", "uniform-kl"]
    assert found.cells[2].factors == {"method": "uniform", "alpha": "low"}
    assert found.cells[2].words == (
        "--config=experiment/tiny_uniform_alpha",
        "--trainer.log_every_n_steps=1",
        "--data.batch_size=8",
        "--model.sampler.alpha=FixedAlpha",  # after what is shared, which it replaces, and before its argument
        "--model.sampler.alpha.value=0.3",
        "--trainer.callbacks+=ValidateFirst",
    )
    assert (found.seeds, found.budget, found.runs) == ((3, 5), Budget("samples", 3200), 8)


def test_a_method_is_crossed_with_the_axes_that_it_names(tmp_path: Path) -> None:
    text = GOOD.replace(
        "report: {baseline: q_star-kl, comparisons: [[q_star-kl, q_star-low]]}\n",
        "  size: {one: {a: 1}, two: {a: 2}}\n",
    )
    found = read(text.replace("    uniform: {", "    uniform: {axes: [size], "), tmp_path)
    assert [cell.name for cell in found.cells][4:] == ["uniform-one", "uniform-two"]
    assert found.cells[5].factors == {"method": "uniform", "size": "two"}
    assert "--a=2" in found.cells[5].words
    assert not any("alpha" in word for word in found.cells[5].words[4:])
    alone = read(text.replace("    uniform: {", "    uniform: {axes: [], "), tmp_path)
    assert [cell.name for cell in alone.cells][4:] == ["uniform"]


def test_a_sweep_has_seeds_of_its_own(tmp_path: Path) -> None:
    found = read(GOOD.replace("tiny:\n", TUNE), tmp_path)
    assert found.tune == Tune("model.optimizer.lr", (0.5, 1, 3), (100,), f"{tmp_path}/mine.yaml:8")
    assert found.runs == 8 + 4 * 3 + 8


def test_a_budget_of_tokens_ends_runs(tmp_path: Path) -> None:
    words = read(GOOD.replace("{samples: 3200}", "{tokens: 900}"), tmp_path).cells[0].words
    assert words[-3:] == (
        "--trainer.callbacks+=Budget",
        "--trainer.callbacks.unit=tokens",
        "--trainer.callbacks.amount=900",
    )


def test_values_are_written_as_on_a_command_line(tmp_path: Path) -> None:
    options = "{a: null, b: true, c: [1, x], d: 1.0e-4, e: {f: 1}}"
    words = read(GOOD.replace("{data.batch_size: 8}", options), tmp_path).cells[2].words
    assert words[2:7] == ("--a=null", "--b=true", '--c=[1, "x"]', "--d=0.0001", '--e={"f": 1}')


def test_a_configuration_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("name: own\n")
    found = read(GOOD.replace("experiment/tiny_q_star", "own.yaml"), tmp_path)
    assert found.cells[0].words[0] == f"--config={tmp_path}/own.yaml"


TUNE = "tune: {option: model.optimizer.lr, factors: [0.5, 1, 3], seeds: [100]}\ntiny:\n"
MISTAKES = {
    "unknown key": ("seeds: [", "seed: [", "mine.yaml:13: tiny.seed is not known here; did you mean seeds?"),
    "missing": ("  budget: {samples: 3200}\n", "", "mine.yaml:8: tiny must have budget"),
    "unit": ("{samples:", "{sample:", "mine.yaml:14: tiny.budget.sample is not known here; did you mean samples?"),
    "two units": ("{samples:", "{tokens: 1, samples:", "mine.yaml:14: tiny.budget must have one of samples, generated"),
    "amount": ("3200", "many", "mine.yaml:14: tiny.budget.samples must be a whole number of at least 1, got many"),
    "seeds": ("[3, 5]", "[3, 3]", "mine.yaml:13: tiny.seeds must be different seeds"),
    "no seeds": ("[3, 5]", "0", "mine.yaml:13: tiny.seeds must be a whole number of at least 1, got 0"),
    "base": ("tiny_uniform_alpha", "tiny_uniform", "mine.yaml:11: tiny.methods.uniform.config: config must be a file"),
    "taken": ("trainer.log_every_n_steps: 1", "name: x", "mine.yaml:12: tiny.options.name must be an option of"),
    "cell": ("baseline: q_star-kl", "baseline: q_star", "mine.yaml:7: report.baseline must name a cell (q_star-low, "),
    "pair": ("[[q_star-kl, q_star-low]]", "[[q_star-kl]]", "mine.yaml:7: report.comparisons must be pairs of cells"),
    "list": (
        "low: {model.sampler.alpha: FixedAlpha, model.sampler.alpha.value: 0.3}",
        "low: [1]",
        "mine.yaml:5: axes.",
    ),
    "name": ("    low: ", "    Low/x: ", "mine.yaml:5: axes.alpha.Low/x must be a name of lower-case letters"),
    "twice": ("    kl: ", "    low: ", "mine.yaml:6: axes.alpha.low must be given once, first in line 5"),
    "method": ("  alpha:\n", "  method:\n", "mine.yaml:4: axes.method must be called something else"),
    "axes": (
        "options: {data.",
        "axes: [beta], options: {data.",
        "mine.yaml:11: tiny.methods.uniform.axes must name axes",
    ),
    "tune factors": (
        "tiny:\n",
        TUNE.replace("1, 3", "2, 3"),
        "mine.yaml:8: tune.factors must be different factors, 1 ",
    ),
    "tune seeds": ("tiny:\n", TUNE.replace("100", "5"), "mine.yaml:8: tune.seeds must be other seeds than the experi"),
    "tune": ("tiny:\n", TUNE.replace("seeds", "seed"), "mine.yaml:8: tune.seed is not known here"),
    "title": ("title: A title", "title: [1]", "mine.yaml:1: title must be a text, got a list"),
    "syntax": ("title: A title", "title: {", "is not valid YAML"),
    "empty": (GOOD, "", "mine.yaml must describe an experiment, got nothing"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes(kind: str, tmp_path: Path) -> None:
    old, new, message = MISTAKES[kind]
    assert old in GOOD
    with pytest.raises(UserError) as found:
        read(GOOD.replace(old, new, 1), tmp_path)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_an_unknown_variant(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"variant must be one that .*mine.yaml describes, tiny, got full"):
        read(GOOD, tmp_path, "full")

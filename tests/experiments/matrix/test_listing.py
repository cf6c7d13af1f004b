from pathlib import Path

from qstar_pl.cli.shipped import configuration
from qstar_pl.experiments.matrix.listing import listing

MVP = Path(__file__).resolve().parents[3] / "configs" / "experiments" / "mvp.yaml"


def test_cells_budget_and_time() -> None:
    lines = listing([MVP], configuration).splitlines()
    assert lines[0] == "mvp: PPO against q*"
    tiny = next(line for line in lines if line.startswith("  tiny"))
    assert tiny == "  tiny  2 cells × 3 seeds, 3,200 samples each; about 0.9 min a run, 5 min one after the other"
    assert max(map(len, lines)) <= 110


def test_all_tiny_variants_are_summed_with_equal_runs_counted_once(tmp_path: Path) -> None:
    methods = {"one": "{a: experiment/tiny_sft, b: experiment/tiny_dpo}", "two": "{c: experiment/tiny_sft}"}
    for name, given in methods.items():
        head, rest = "title: T\nquestion: Q?\ntiny:", "  seeds: 3\n  budget: {samples: 3200}\n  minutes: 20\n"
        (tmp_path / f"{name}.yaml").write_text(f"{head}\n  methods: {given}\n{rest}")
    files = [tmp_path / "one.yaml", tmp_path / "two.yaml"]
    assert (
        "All tiny variants: 6 different runs, at most 2.0 h of one core." in listing(files, configuration).splitlines()
    )
    with (tmp_path / "two.yaml").open("a") as file:
        file.write("tune: {option: model.optimizer.lr, factors: [1, 3], seeds: [9]}\n")
    total = "All tiny variants: 6 different runs, at most 3.7 h of one core, 1.7 h of it for tuning."
    assert total in listing(files, configuration).splitlines()
    assert not any("All tiny" in line for line in listing(files[:1], configuration).splitlines())

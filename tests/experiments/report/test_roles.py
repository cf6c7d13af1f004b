from pathlib import Path

from results_folder import OFF_POLICY, PPO, Q_STAR, MadeCell, results_folder

from qstar_pl.experiments.report.reading import Results, read_results
from qstar_pl.experiments.report.roles import fixed_alphas, off_policy, on_policy, q_star

CELLS = {
    "a": MadeCell({"model": "RejectionSampling", "sampler": "PolicySampler"}),
    "b": MadeCell({"model": "SFTOnSamples", "sampler": "TargetSampler"}),
    "c": MadeCell({"model": "UniformAlpha", "sampler": "GeometricSampler", "alpha": "FixedAlpha"}),
    "d": OFF_POLICY,
    "e": PPO,
    "f": Q_STAR,
}


def told(results: Results) -> tuple[str | None, ...]:
    return tuple(role(results, results.cells) for role in (q_star, on_policy, off_policy))


def test_classes_tell_whatever_the_cells_are_called(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, CELLS, [0]))
    assert told(results) == ("f", "e", "d")
    assert fixed_alphas(results, results.cells) == ("c",)
    assert q_star(results, ["a", "b"]) is None


def test_without_classes_names_do(tmp_path: Path) -> None:
    cells = {name: MadeCell() for name in ("q_star", "ppo", "off_policy", "sft")}
    assert told(read_results(results_folder(tmp_path, cells, [0]))) == ("q_star", "ppo", "off_policy")

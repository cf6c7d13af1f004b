"""The lines at the start of a run."""

from qstar_pl.cli.runs.summary import compact, metric_lines, run_summary

ALPHA = {"class_path": "qstar_pl.qstar.alpha.FixedAlpha", "init_args": {"value": 0.3}}


def test_classes_by_their_short_names_without_what_is_null() -> None:
    spec = {"class_path": "a.b.GeometricSampler", "init_args": {"alpha": ALPHA, "top_k": None, "sizes": [1, 2]}}
    assert compact(spec) == "GeometricSampler(alpha=FixedAlpha(value=0.3), sizes=[1, 2])"
    assert compact({"n_layer": 2}) == "{n_layer: 2}"


def test_summary_names_folder_model_and_data() -> None:
    config = {
        "model": {"class_path": "qstar_pl.methods.QStar", "init_args": {"alpha": ALPHA}},
        "data": {"class_path": "qstar_pl.data.RLHFDataModule", "init_args": {"path": "tiny", "split": None}},
    }
    assert run_summary("fit", config, "runs/a").splitlines() == [
        "qstar fit: runs/a",
        "  model: QStar",
        "    alpha: FixedAlpha(value=0.3)",
        "  data: RLHFDataModule",
        "    path: tiny",
    ]


def test_every_metric_has_its_line() -> None:
    assert metric_lines([{"val/b": 0.5, "val/longer": 1.0}, {"val/b": 0.5}]).splitlines() == [
        "  val/b       0.5",
        "  val/longer  1",
    ]
    assert metric_lines([]) == ""

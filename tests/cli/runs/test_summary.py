"""The lines at the start of a run."""

from qstar_pl.cli.runs.summary import compact, metric_lines, run_summary

KL_SYMMETRIC = {
    "class_path": "qstar_pl.qstar.alpha.KLSymmetricAlpha",
    "init_args": {"tol": 0.001, "max_iter": 20, "on_disjoint": "raise", "solver": "newton"},
}
ALPHA = {"class_path": "qstar_pl.qstar.alpha.FixedAlpha", "init_args": {"value": 0.3}}


def test_classes_by_their_short_names_without_what_is_null() -> None:
    spec = {"class_path": "a.b.GeometricSampler", "init_args": {"alpha": ALPHA, "top_k": None, "sizes": [1, 2]}}
    assert compact(spec) == "GeometricSampler(alpha=FixedAlpha(value=0.3), sizes=[1, 2])"
    assert compact({"n_layer": 2}) == "{n_layer: 2}"


def test_numbers_that_are_defaults_go_without_saying() -> None:
    arguments = {"max_new_tokens": 48, "temperature": 1.0, "top_k": None, "alpha": KL_SYMMETRIC}
    spec = {"class_path": "qstar_pl.samplers.GeometricSampler", "init_args": arguments}
    assert compact(spec) == "GeometricSampler(alpha=KLSymmetricAlpha)"
    spec["init_args"] = {**arguments, "max_new_tokens": 32, "alpha": {**KL_SYMMETRIC, "init_args": {"tol": 0.1}}}
    assert compact(spec) == "GeometricSampler(max_new_tokens=32, alpha=KLSymmetricAlpha(tol=0.1))"


def test_summary_names_folder_models_and_what_is_not_the_default() -> None:
    expert = {"class_path": "qstar_pl.models.Pretrained", "init_args": {"name": "tiny/expert", "dropout": 0.0}}
    arguments = {
        "target": {"class_path": "qstar_pl.targets.Expert", "init_args": {"model": expert}},
        "weights": {"class_path": "qstar_pl.qstar.weights.ClippedWeights", "init_args": {"low": 0.1, "high": 10.0}},
        "advantage": {"class_path": "qstar_pl.qstar.advantages.MeanBaseline"},
        "samples_per_prompt": 8,
        "kl_coefficient": 0.05,
    }
    config = {
        "model": {"class_path": "qstar_pl.methods.QStar", "init_args": arguments},
        "data": {"class_path": "qstar_pl.data.RLHFDataModule", "init_args": {"path": "tiny", "batch_size": 4}},
    }
    assert run_summary("fit", config, "runs/a", "runs/b/last.ckpt").splitlines() == [
        "qstar fit: runs/a (all settings: config.yaml there)",
        "  from       runs/b/last.ckpt",
        "  method     QStar(samples_per_prompt=8)",
        "  target     Expert(model=Pretrained(name=tiny/expert))",
        "  advantage  MeanBaseline",
        "  data       batch_size=4",
    ]
    assert run_summary("fit", config, None).splitlines()[0] == "qstar fit: nothing is written"


def test_a_long_value_is_folded_and_does_not_leave_its_name_alone() -> None:
    path = "/models/" + "a" * 50
    model = {"class_path": "own.Pretrained", "init_args": {"name": path}}
    reward = {"class_path": "own.ModelReward", "init_args": {"model": model}}
    config = {"model": {"class_path": "qstar_pl.methods.QStar", "init_args": {"reward": reward}}}
    assert run_summary("fit", config, None).splitlines()[-2:] == [
        "  reward  ModelReward(model=Pretrained(",
        f"          name={path}))",
    ]


def test_every_metric_has_its_line() -> None:
    assert metric_lines([{"val/b": 0.5, "val/longer": 1.0}, {"val/b": 0.5}]).splitlines() == [
        "  val/b       0.5",
        "  val/longer  1",
    ]
    assert metric_lines([]) == ""


def test_secrets_are_not_printed() -> None:
    judge = {"class_path": "own.Judge", "init_args": {"api_key": "abc", "url": "https://me:word@host/v1"}}
    config = {"model": {"class_path": "qstar_pl.methods.QStar", "init_args": {"reward": judge}}}
    assert "Judge(api_key=***, url=https://***@host/v1)" in run_summary("fit", config, None)

"""The metrics that `metrics+=` adds to."""

import pytest
import yaml

from qstar_pl.cli.layers.metrics import default_metrics

COMMON = [
    "RewardProxy",
    "RewardGold",
    "KLPolicyReference",
    "CompletionLength",
    "EndedFraction",
    "PreferenceAccuracy",
    "Perplexity",
]


def names(layer) -> list[str]:
    return [metric["class_path"].rpartition(".")[2] for metric in layer["init_args"]["metrics"]]


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("QStar", COMMON),
        ("qstar_pl.methods.PPO", COMMON),
        ({"class_path": "LEDPO", "init_args": {"beta_lr": 1}}, [*COMMON, "PairMeans", "Beta"]),
        ("RewardModeling", ["PreferenceAccuracy", "PairMeans"]),
    ],
    ids=["name", "path", "mapping", "rewards"],
)
def test_every_method_has_its_own(model, wanted) -> None:
    layer = default_metrics(model)
    assert names(layer) == wanted
    assert layer["class_path"].startswith("qstar_pl.methods.")
    assert layer["init_args"]["metrics"][0]["class_path"].startswith("qstar_pl.evaluation.metrics.")


@pytest.mark.parametrize("model", ["Nonsense", "no.such.Method", "torch.nn.Linear", {}, None])
def test_what_is_no_method_has_none(model) -> None:
    assert default_metrics(model) == {}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--model.metrics+=Beta"], [*COMMON, "Beta"]),
        (["--model=RewardModeling", "--model.metrics+=Beta"], ["PreferenceAccuracy", "PairMeans", "Beta"]),
        (["--model=DPO", "--model.metrics=[Perplexity]"], ["Perplexity"]),
        (["--model.metrics=[]"], []),
    ],
    ids=["added", "added to another method's", "replaced", "none"],
)
def test_a_list_is_added_to_or_replaced(qstar, words, wanted) -> None:
    code, printed, _ = qstar("fit", *words, "--print_config")
    assert code == 0
    assert names(yaml.safe_load(printed)["model"]) == wanted


def test_what_is_no_metric_is_refused(qstar) -> None:
    assert "unknown class GoldReward; did you mean RewardGold?" in qstar("fit", "--model.metrics=[GoldReward]")[2]
    assert qstar("fit", "--model.metrics=null")[2].strip() == "error: model.metrics must be a list, got null"

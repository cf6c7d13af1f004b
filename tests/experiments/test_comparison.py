from qstar_pl.experiments.comparison import as_csv, as_markdown, changes, costs, judged_by, spread
from qstar_pl.experiments.seeds import SeedResult

SERIES = {"samples/total": [(1, 32.0), (2, 64.0)]}


def result(metrics: dict[str, tuple[float, float]], **series: list[tuple[int, float]]) -> SeedResult:
    before, after = ({f"val/{key}": pair[when] for key, pair in metrics.items()} for when in (0, 1))
    return SeedResult(0, before, after, {**SERIES, **{key.replace("__", "/"): one for key, one in series.items()}}, 3.0)


BOTH = {"reward_proxy": (0.0, 1.0), "reward_gold": (0.5, 0.75)}


def test_every_policy_is_judged_by_gold_and_proxy() -> None:
    assert judged_by([result(BOTH)]) == ["val/reward_gold", "val/reward_proxy"]
    of_pairs = result({**BOTH, "preference_accuracy": (0.5, 1)}, loss__accuracy=[(1, 0.5)])
    assert judged_by([of_pairs]) == ["val/reward_gold", "val/reward_proxy", "val/preference_accuracy"]


def test_what_has_no_reward_is_judged_by_what_there_is() -> None:
    assert judged_by([result({"preference_accuracy": (0.5, 1), "lengths": (1, 2)})]) == ["val/preference_accuracy"]
    assert judged_by([result({"perplexity": (2, 1), "mine": (1, 2)})]) == ["val/mine", "val/perplexity"]
    assert judged_by([result(BOTH), result({})]) == []


def test_changes() -> None:
    gold, proxy = changes({"a": [result(BOTH)], "b": []})
    assert (gold.experiment, gold.name, gold.gains) == ("a", "gold", [0.25])
    assert proxy.cells() == ["proxy", "0.000", "1.000", "+1.000", "1/1"]


def test_spread_is_the_sample_standard_deviation() -> None:
    assert spread([1.0, 2.0, 3.0]) == "2.000 ± 1.000"
    assert spread([1.0], signed=True) == "+1.000"


def test_costs_that_are_not_logged_are_empty() -> None:
    assert costs([result(BOTH)]) == ["", "64", "", ""]


def test_files() -> None:
    results = {"a": [result(BOTH)]}
    assert as_markdown(results).splitlines()[2] == "| a | gold | 0.500 | 0.750 | +0.250 | 1/1 |  | 64 |  |  |"
    assert as_csv(results).splitlines()[1] == "a,0,val/reward_gold,0.5,0.75,,64.0,,,3.0"

from dataclasses import replace
from pathlib import Path

from small_experiment import go, runs, write

from qstar_pl.experiments.results.judged import judged_by
from qstar_pl.experiments.results.outcome import Outcome
from qstar_pl.run_folders.metrics import Metrics


def measured(one: Outcome, *names: str, compares: bool = False) -> Outcome:
    values = {f"val/{name}": 0.5 for name in names}
    rows = ({"step": 1.0, "loss/accuracy": 0.5},) if compares else ()
    return replace(one, before=values, after=values, metrics=Metrics((), rows))


def test_rewards_come_first_then_accuracy_then_what_there_is(tmp_path: Path) -> None:
    planned = runs(tmp_path)
    go(planned)
    one = write(planned)[0]
    both = measured(one, "reward_proxy", "reward_gold", "preference_accuracy", "perplexity")
    assert (judged_by([both]).score, judged_by([both]).metrics) == ("val/reward_gold", ("val/reward_proxy",))
    pairs = measured(one, "reward_proxy", "preference_accuracy", compares=True)
    assert judged_by([both, pairs]).score == "val/reward_proxy"
    assert judged_by([both, pairs]).metrics == ("val/preference_accuracy",)
    assert judged_by([measured(one, "perplexity", "rouge", "mine")]).score == "val/mine"
    assert judged_by([measured(one, "perplexity", "rouge", "mine")]).metrics == ("val/rouge",)
    assert judged_by([measured(one, "perplexity")]).score == "val/perplexity"
    assert judged_by([]).score == "val/reward_gold"

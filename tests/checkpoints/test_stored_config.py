"""What a stored configuration may not say, and how a user would say it."""

from qstar_pl.checkpoints.stored_config import without_risks


def test_what_is_meant_can_be_typed_as_it_is_printed() -> None:
    model = {"sampler": {"class_path": "mine.Sampler"}, "metrics": [{"class_path": "mine.Metric"}]}
    config = {"model": model, "trainer": {"callbacks": [{"class_path": "mine.Diagnostic"}]}}
    kept, withheld = without_risks(config)
    assert kept == {"model": {"metrics": []}, "trainer": {"callbacks": []}}
    # A list takes what is added to it; = would want all of it.
    assert {one.words for one in withheld} == {
        "--model.sampler=mine.Sampler",
        "--model.metrics+=mine.Metric",
        "--trainer.callbacks+=mine.Diagnostic",
    }


def test_a_checkpoint_spends_nobody_s_money() -> None:
    judge = {"class_path": "qstar_pl.evaluation.judges.LLMJudge", "init_args": {"model": "m"}}
    for name in (judge["class_path"], "LLMJudge"):
        metric = {"class_path": "WinRate", "init_args": {"judge": {**judge, "class_path": name}, "samples": 2}}
        kept, withheld = without_risks({"model": {"metrics": [metric]}})
        assert kept == {"model": {"metrics": [{"class_path": "WinRate", "init_args": {"samples": 2}}]}}
        assert [(one.option, one.reason) for one in withheld] == [
            ("model.metrics.judge", "a judge that sends texts away, for money")
        ]

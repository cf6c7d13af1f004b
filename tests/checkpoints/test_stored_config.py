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
        assert kept == {"model": {"metrics": []}}  # without its judge, it would be no metric
        assert [(one.option, one.reason) for one in withheld] == [
            ("model.metrics", "without a part of its own"),
            ("model.metrics.judge", "a judge that sends texts away, for money"),
        ]


def test_one_of_several_that_lacks_a_part_goes_as_a_whole() -> None:
    judged = {"class_path": "qstar_pl.evaluation.metrics.WinRate", "init_args": {"judge": {"class_path": "mine.Judge"}}}
    length = {"class_path": "qstar_pl.evaluation.metrics.CompletionLength"}
    kept, withheld = without_risks({"model": {"metrics": [length, judged, {"plain": {"class_path": "mine.Other"}}]}})
    assert kept == {"model": {"metrics": [length, {}]}}
    assert [one.words for one in withheld] == [
        "--model.metrics+=qstar_pl.evaluation.metrics.WinRate",
        "--model.metrics.judge=mine.Judge",
        "--model.metrics.plain=mine.Other",
    ]
    assert all(one.is_answered({"model.metrics"}) for one in withheld)

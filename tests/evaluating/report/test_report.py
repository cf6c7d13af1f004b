"""What is said beside the numbers: rows that count nowhere, and which variant of a metric it is."""

from collections.abc import Sequence

import pytest
import sacrebleu
from reference.texts import answers

from qstar_pl.evaluating.records import rows_of
from qstar_pl.evaluating.report import markdown, report_of
from qstar_pl.evaluating.report.forming import Statistics, numbers_of
from qstar_pl.evaluating.report.tables import decimal
from qstar_pl.evaluation.judges import GoldJudge
from qstar_pl.evaluation.metrics import BLEU, AnswerMetric, ExecutionAccuracy, PassAtK, Rouge, TextLength, WinRate

HYPOTHESES = ["the cat sat on the mat", "what is it now", "x", "a dog ran far away from here"]
REFERENCES = [["a cat sat on the mat"], ["what is that then"], [], ["the dog ran far away from us"]]


def lines(metrics: Sequence[AnswerMetric], hypotheses: Sequence[str] = HYPOTHESES) -> list[dict]:
    whole = answers(hypotheses, REFERENCES)
    found: list[dict] = [{"key": number, "answers": {}} for number in range(len(HYPOTHESES))]
    for metric in metrics:
        for name, one in metric.scores(whole).items():
            for record, row in zip(found, rows_of(one, whole.of_prompts), strict=True):
                entry = {"per": one.per, "scores": row}
                record["answers"].setdefault(type(metric).__name__, {})[name] = entry
    return found


def test_rows_that_count_nowhere_and_signatures():
    metrics = {"BLEU": BLEU(), "Rouge": Rouge(kinds=("rouge1",))}
    about = {"data": {"left_out": {}}, "answers": {"answers": 4}}
    report = report_of(lines(list(metrics.values())), metrics, "", Statistics(resamples=100), about)
    found = report.as_json()["metrics"]
    kept = [row for row, one in enumerate(REFERENCES) if one]
    wanted = sacrebleu.corpus_bleu([HYPOTHESES[row] for row in kept], [[REFERENCES[row][0] for row in kept]])
    assert found["bleu"]["answers"]["value"] == wanted.score
    assert found["bleu"]["signature"].startswith("case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert "signature" not in found["rouge1"]
    assert [found[key]["without"] for key in ("bleu", "rouge1")] == [1, 1]
    assert [found[key]["answers"]["rows"] for key in ("bleu", "rouge1")] == [3, 3]
    assert [found[key]["answers"]["prompts"] for key in ("bleu", "rouge1")] == [3, 3]
    said = markdown(report)
    assert "1 row has nothing that bleu, rouge1 could measure, and does not count there" in said
    assert "bleu: case:mixed|eff:no|tok:13a" in said


def test_prompts_without_a_reference_change_no_interval():
    every, some = lines([BLEU()]), lines([BLEU()])
    del some[2]
    numbers = [numbers_of(own, {"BLEU": BLEU()}, Statistics(resamples=100))[0].answers for own in (every, some)]
    assert numbers[0] == numbers[1]


def test_two_metrics_of_one_name_keep_both_their_numbers():
    plain, stemmed = Rouge(kinds=("rouge1",), stemmer=False), Rouge(kinds=("rouge1",))
    records = lines([plain], ["cats sit"] * 4)
    for record, other in zip(records, lines([stemmed], ["x"] * 4), strict=True):
        record["answers"]["Rouge-2"] = other["answers"]["Rouge"]
    found = numbers_of(records, {"Rouge": plain, "Rouge-2": stemmed}, Statistics(resamples=100))
    assert [one.key for one in found] == ["rouge1", "Rouge-2/rouge1"]
    assert len(report_of(records, {"Rouge": plain, "Rouge-2": stemmed}, "", Statistics(), {}).as_json()["metrics"]) == 2


def test_lengths_are_no_shares_and_intervals_stay_within_what_can_be():
    one_word = numbers_of(lines([TextLength()], ["yes"] * 4), {"TextLength": TextLength()}, Statistics())
    assert [(one.answers.value, one.answers.interval) for one in one_word] == [(1.0, None), (3.0, None)]
    texts = ["a cat sat on the mat", "what is that", "x", "the dog ran far away from us"]
    rouge = Rouge(kinds=("rouge1",))
    interval = numbers_of(lines([rouge], texts), {"Rouge": rouge}, Statistics())[0].answers.interval
    assert interval is not None
    assert 0.5 < interval.low < interval.high == 1.0


def test_holms_correction_counts_a_metric_called_win_rate_beside_the_judge():
    """12 prompts, on all of which the metric's answers beat the baseline's, and the judge prefers them to it."""
    found = []
    for number in range(12):
        sides = {"answers": 1.0 - number / 100, "baseline": 0.0}
        of_metric = {side: {"WinRate": {"win_rate": {"per": "answer", "scores": [one]}}} for side, one in sides.items()}
        found.append({"key": number, "verdicts": [{"preference": 1.0, "lengths": [1, 1]}], **of_metric})
    report = report_of(found, {"WinRate": WinRate(GoldJudge())}, "GoldJudge()", Statistics(resamples=5000), {})
    alone = 2 / 2**12
    number, win_rate = report.numbers[0], report.win_rate
    assert number.compared is not None
    assert win_rate is not None
    assert [number.compared.p_value, win_rate.p_value] == [alone, alone]
    assert [number.p_holm, win_rate.p_holm] == [2 * alone, 2 * alone]


def test_shares_of_ties_are_not_compared():
    names = {"win_rate": [1.0, 0.0], "win_rate/ties": [0.5, 0.0], "win_rate/no_verdict": [0.0, 0.0]}
    found = []
    for number in range(8):
        entry = {
            side: {"WinRate": {name: {"per": "answer", "scores": [values[place]]} for name, values in names.items()}}
            for place, side in enumerate(("answers", "baseline"))
        }
        found.append({"key": number, **entry})
    numbers = numbers_of(found, {"WinRate": WinRate(GoldJudge())}, Statistics(resamples=100))
    assert [(one.key, one.compared is not None) for one in numbers] == [
        ("win_rate", True),
        ("win_rate/ties", False),
        ("win_rate/no_verdict", False),
    ]
    assert all(one.baseline is not None for one in numbers)


def test_pass_at_1_is_as_sure_as_the_share_of_programs_that_pass():
    passed = [[1, 1, 0, 1], [0, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 0]]
    found = [
        {
            "key": number,
            "answers": {
                "ExecutionAccuracy": {"execution_accuracy": {"per": "answer", "scores": [float(one) for one in own]}},
                "PassAtK": {"pass@1": {"per": "prompt", "scores": [sum(own) / 4]}},
            },
        }
        for number, own in enumerate(passed)
    ]
    metrics = {"ExecutionAccuracy": ExecutionAccuracy(), "PassAtK": PassAtK((1,))}
    share, once = (one.answers for one in numbers_of(found, metrics, Statistics()))
    assert share.interval is not None
    assert once.interval is not None
    assert (once.value, once.error) == pytest.approx((share.value, share.error))
    assert (once.interval.low, once.interval.high) == pytest.approx((share.interval.low, share.interval.high))
    assert (share.rows, once.rows) == (24, 6)


def test_numbers_in_a_table_have_four_digits_and_are_not_rounded_to_zero():
    shown = {0.0: "0.0000", 0.00003: "< 0.0001", -1e-9: "> -0.0001", 0.00006: "0.0001", 0.123456: "0.1235"}
    shown |= {0.99999: "1.000", 1.0: "1.000", 9.9999: "10.00", 26.457: "26.46", 12345.6: "12346"}
    assert {value: decimal(value) for value in shown} == shown
    assert decimal(0.25, sign=True) == "+0.2500"

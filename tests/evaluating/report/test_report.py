"""What is said beside the numbers: rows that count nowhere, and which variant of a metric it is."""

from collections.abc import Sequence

import sacrebleu
from reference.texts import answers

from qstar_pl.evaluating.records import rows_of
from qstar_pl.evaluating.report import markdown, report_of
from qstar_pl.evaluating.report.forming import Statistics
from qstar_pl.evaluation.metrics import BLEU, Rouge

HYPOTHESES = ["the cat sat on the mat", "what is it now", "x", "a dog ran far away from here"]
REFERENCES = [["a cat sat on the mat"], ["what is that then"], [], ["the dog ran far away from us"]]


def lines(metrics: Sequence[BLEU | Rouge]) -> list[dict]:
    whole = answers(HYPOTHESES, REFERENCES)
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
    said = markdown(report)
    assert "1 rows have nothing that bleu, rouge1 could measure, and do not count there" in said
    assert "bleu: case:mixed|eff:no|tok:13a" in said

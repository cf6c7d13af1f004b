import json
from pathlib import Path
from types import SimpleNamespace

from qstar_pl.cli.runs.predictions import write_predictions


def test_predictions_are_json_lines_with_diagnostics_beside(tmp_path: Path) -> None:
    trainer = SimpleNamespace(global_rank=1, world_size=2, log_dir=str(tmp_path))
    rows = [{"text": text, "diagnostics": {"tokens": number}} for number, text in enumerate("αbc")]
    for _ in range(2):
        path = write_predictions(trainer, [rows[:1], rows[1:]])
    assert path.name == "predictions.1.jsonl"
    assert path.read_text() == '{"text": "α"}\n{"text": "b"}\n{"text": "c"}\n'
    beside = tmp_path / "predictions.1.diagnostics.jsonl"
    assert [json.loads(line)["tokens"] for line in beside.read_text().splitlines()] == [0, 1, 2]
    assert len(list(tmp_path.iterdir())) == 4, "what an earlier run has written is kept"

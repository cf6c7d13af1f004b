import json
from pathlib import Path
from types import SimpleNamespace

from qstar_pl.cli.runs.predictions import write_predictions


def test_predictions_are_json_lines(tmp_path: Path) -> None:
    trainer = SimpleNamespace(global_rank=1, world_size=2, log_dir=str(tmp_path))
    path = write_predictions(trainer, [[{"text": "α"}], [{"text": "b"}, {"text": "c"}]])
    assert path.name == "predictions.1.jsonl"
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == ["α", "b", "c"]

"""The date that chat templates write, over the days that a run takes."""

import datetime
import os
from pathlib import Path

import pytest

from qstar_pl.models import run_date

TEMPLATE = (
    "{{ strftime_now('%d %B %Y') }}{% for m in messages %}\n{{ m['role'] }}: {{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}\nassistant: {% endif %}"
)
COMMAND = (
    "fit",
    "--model=SFT",
    "--data.rendering=ChatRendering",
    "--data.rendering.chat_template=dated.jinja",
    "--data.val_limit=2",
    "--data.max_rows=40",
    "--data.batch_size=2",
    "--trainer.limit_val_batches=0",
    "--trainer.enable_progress_bar=false",
)


@pytest.fixture
def today(monkeypatch, isolated):
    """Call it with a day, and that is today."""
    Path("dated.jinja").write_text(TEMPLATE)

    def set_day(day: str) -> None:
        class Calendar(datetime.date):
            @classmethod
            def today(cls) -> datetime.date:
                return datetime.date.fromisoformat(day)

        monkeypatch.setattr(run_date, "date", Calendar)

    return set_day


def test_a_run_that_goes_on_later_keeps_its_date(qstar, today):
    today("2026-03-01")
    code, out, err = qstar(*COMMAND, "--trainer.max_steps=1")
    assert code == 0, err
    assert "the chat template writes the date: 2026-03-01" in out
    assert "date: '2026-03-01'" in next(Path("runs").glob("*/version_0/config.yaml")).read_text()
    today("2026-04-15")
    code, out, err = qstar(*COMMAND, "--trainer.max_steps=2", "--ckpt_path=last")
    assert code == 0, err
    assert "the chat template writes the date: 2026-03-01" in out
    assert os.environ["QSTAR_DATE"] == "2026-03-01"
    code, out, err = qstar(*COMMAND, "--trainer.max_steps=1", "--name=another")
    assert "the chat template writes the date: 2026-04-15" in out, "a new run begins on its own day"


def test_the_date_can_be_given(qstar, today):
    today("2026-03-01")
    code, out, err = qstar(*COMMAND, "--trainer.max_steps=1", "--date=2024-07-26")
    assert code == 0, err
    assert "the chat template writes the date: 2024-07-26" in out
    code, _, err = qstar(*COMMAND, "--date=yesterday")
    assert code == 2
    assert err.splitlines()[-1] == "error: date must be a day as YYYY-MM-DD, got 'yesterday'"

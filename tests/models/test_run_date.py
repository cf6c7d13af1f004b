from datetime import date

import pytest

from qstar_pl.errors import UserError
from qstar_pl.models import run_date as module
from qstar_pl.models.run_date import VARIABLE, dated, parse_date, run_date, set_run_date


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, "2000-01-01")


def test_a_run_keeps_the_day_on_which_it_began(monkeypatch):
    class Calendar(date):
        now = date(2026, 3, 1)

        @classmethod
        def today(cls):
            return cls.now

    monkeypatch.setattr(module, "date", Calendar)
    assert set_run_date(None) == date(2026, 3, 1)
    Calendar.now = date(2026, 3, 2)
    assert run_date() == date(2026, 3, 1), "midnight changes nothing"
    assert set_run_date("2025-12-31") == run_date() == date(2025, 12, 31)
    assert set_run_date(None) == date(2026, 3, 2), "another run begins on its own day"


@pytest.mark.parametrize("text", ["", "today", "2026-13-01", "01.02.2026"])
def test_what_is_no_day(text):
    with pytest.raises(UserError, match="date must be a day as YYYY-MM-DD"):
        parse_date(text)


@pytest.mark.parametrize("template", ["{{ x }}", "\n{{ strftime_now('%d') }}"])
def test_a_template_changes_only_where_it_asks_for_the_date(template):
    found, variables = dated(template)
    assert found.endswith(template)
    assert (found == template) is (variables == {}) is ("strftime_now" not in template)

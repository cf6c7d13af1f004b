import threading
import time
from pathlib import Path
from typing import Any

import pytest
from judge_server import QUICK

from qstar_pl.evaluation.judges.llm.asker import Asker, Question
from qstar_pl.evaluation.judges.llm.budget import Budget, Ledger
from qstar_pl.evaluation.judges.llm.cache import Cache
from qstar_pl.evaluation.judges.llm.limits import StoppedError
from qstar_pl.evaluation.judges.llm.reply import Reply, Usage
from qstar_pl.evaluation.judges.llm.verdict_forms import Marks


def question(text: str) -> Question:
    return Question.of({"messages": [{"content": text}], "max_tokens": 10}, Marks("1", "2"), {})


def test_what_waits_for_the_budget_is_not_sent_once_the_evaluation_ends(tmp_path: Path) -> None:
    sent: list[Any] = []

    class Endpoint:
        def ask(self, body: Any) -> Reply:
            sent.append(body)
            under_way.set()
            time.sleep(0.2)  # meanwhile, the other question waits for what this one costs
            asker.stop.set()
            return Reply("1", "stop", False, Usage(1, 1))

    # 27 tokens at most for each question, of which the budget holds 30.
    ledger, under_way = Ledger(Budget(1.0, 1.0, max_cost=30e-6)), threading.Event()
    asker = Asker(Endpoint(), Cache(tmp_path), QUICK, ledger, retry_unparsable=False)  # type: ignore[arg-type]
    first = threading.Thread(target=asker.ask, args=[question("a")])
    first.start()
    assert under_way.wait(10)
    with pytest.raises(StoppedError):
        asker.ask(question("b"))
    first.join()
    assert len(sent) == 1
    assert ledger.cost == pytest.approx(2e-6)

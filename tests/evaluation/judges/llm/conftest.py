from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_server import QUICK, SHORT, JudgeServer, Say

from qstar_pl.evaluation.judges.llm import LLMJudge


@pytest.fixture
def serve() -> Iterator[Callable[..., JudgeServer]]:
    """Start a server; it ends with the test."""
    servers: list[JudgeServer] = []

    def start(say: Say, **options: Any) -> JudgeServer:
        servers.append(JudgeServer(say, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Callable[..., LLMJudge]]:
    """Make a judge that asks a server; its cache is the folder `verdicts`."""
    made: list[LLMJudge] = []
    (tmp_path / "short.yaml").write_text(SHORT)

    def make(server: JudgeServer, **options: Any) -> LLMJudge:
        known = {"template": str(tmp_path / "short.yaml"), "cache": str(tmp_path / "verdicts"), "limits": QUICK}
        made.append(LLMJudge("judge-1", server.url, **{**known, **options}))
        return made[-1]

    yield make
    for one in made:
        one.close()

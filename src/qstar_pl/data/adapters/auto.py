"""An adapter that looks at many rows and says what it makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.apps import APPS
from qstar_pl.data.adapters.arena import Arena
from qstar_pl.data.adapters.deepscaler import DeepScaleR
from qstar_pl.data.adapters.gsm8k import GSM8K
from qstar_pl.data.adapters.helpsteer import HelpSteer, HelpSteerPreference
from qstar_pl.data.adapters.hh_rlhf import HHRLHF
from qstar_pl.data.adapters.humaneval import HumanEval
from qstar_pl.data.adapters.implicit_prompt import ImplicitPrompt
from qstar_pl.data.adapters.messages import Messages
from qstar_pl.data.adapters.multiple_choice import MultipleChoice
from qstar_pl.data.adapters.natural_questions import NaturalQuestions
from qstar_pl.data.adapters.pku_safe_rlhf import PKUSafeRLHF
from qstar_pl.data.adapters.prompt_response import PAIRS, PROMPTS, PromptResponse
from qstar_pl.data.adapters.ranking import Nectar, UltraFeedback
from qstar_pl.data.adapters.red_team import RedTeam
from qstar_pl.data.adapters.rows import Rows
from qstar_pl.data.adapters.shp import SHP
from qstar_pl.data.adapters.squad import SQuAD
from qstar_pl.data.adapters.table import Claim, Kind, Table
from qstar_pl.data.adapters.tiny_world import TinyWorld
from qstar_pl.data.adapters.tldr import TLDR
from qstar_pl.data.adapters.webgpt import WebGPT
from qstar_pl.data.adapters.wmt import WMT
from qstar_pl.data.reading import Unreadable
from qstar_pl.data.wording import announce
from qstar_pl.errors import UserError
from qstar_pl.types import Example

CANDIDATES: tuple[type[Adapter], ...] = (
    *(HumanEval, APPS, WMT, TLDR, SHP, PKUSafeRLHF, HelpSteerPreference, HelpSteer, WebGPT, Arena, UltraFeedback),
    *(Nectar, SQuAD, RedTeam, MultipleChoice, NaturalQuestions, GSM8K, DeepScaleR),
    *(HHRLHF, Messages, PromptResponse, ImplicitPrompt),
)
"""The adapters that are asked, in this order: among equally sure ones, the first reads."""
EMBEDDED = "tiny"
"""The path that stands for the dataset which comes with the package."""
HEAD, STEP, REACH = 1000, 100, 50_000
"""Detection looks at the first HEAD rows and every STEP-th of the next REACH, whatever `max_rows` says."""


@dataclass(frozen=True)
class Auto(Adapter):
    """Asks each adapter how sure it is that a sample of the rows is its own; the surest reads, which is printed.

    From the surest on: the columns and contents of one published schema; better and worse dialogues; better and worse
    answers; better and worse texts that begin alike; dialogues; prompts and answers; prompts. Columns are judged by
    what their cells hold, null and empty ones aside. The columns that are not used are printed, too, and where two
    adapters are equally sure, or another column could be the prompt, a line says how to choose.
    """

    def detect(self, rows: Iterable[Row], where: str = "the rows") -> Claim:
        """Return the surest adapter's claim on such rows, with a remark where another is as sure.

        Raises:
            UserError: if no adapter can read them, naming the columns that are there, or what the usual ones hold.

        """
        table = Table(rows)
        claims = [claim for adapter in CANDIDATES if (claim := adapter.claim(table)) is not None]
        if not claims:
            _check_cells(table, where)
            pairs = ", ".join(" and ".join(pair) for pair in PAIRS[:2])
            raise UserError(
                f"{where}: Auto needs a column of prompts ({', '.join(PROMPTS)}), of messages (messages, …), "
                f"{pairs}, or a published schema; the rows have {', '.join(sorted(table.columns)) or 'no columns'}. "
                "--data.adapter=PromptResponse --data.adapter.prompt_field=COLUMN names the prompt's, "
                "response_field and rejected_field those of answers"
            )
        best = max(claims, key=lambda claim: claim.confidence)  # the first of equals
        rivals = [one for one in claims if one.confidence == best.confidence and one is not best]
        names = ", ".join(type(one.adapter).__name__ for one in rivals)
        remark = (f"{names} could read it too: --data.adapter={type(rivals[0].adapter).__name__}",) if rivals else ()
        return Claim(best.confidence, best.adapter, (*best.remarks, *remark))

    def choose(self, row: Row, where: str) -> Adapter:
        """Return the adapter for rows like this one; see `detect`."""
        return self.detect([row], where).adapter

    def example(self, row: Row, where: str) -> Example:
        """Convert one row with the adapter that fits it."""
        return self.choose(row, where).example(row, where)

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        return self.choose(row, "the row").fields(row)

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return self.choose(row, "the row").uses(row)

    def resolve(self, path: str, split: str | None = None) -> Adapter:
        """Return the adapter that fits the rows and print the choice; itself, where there is no row to go by."""
        if path == EMBEDDED:
            return TinyWorld()
        stream = self.rows(path, split)
        sample = [*islice(stream, HEAD), *islice(stream, 0, REACH, STEP)]
        rows = [row for _, row in sample if not isinstance(row, Unreadable)]
        if not rows:
            return self
        claim = self.detect(rows, sample[0][0])
        announce("\n  ".join((f"Auto: {path}: {description(claim.adapter, rows)}", *claim.remarks)))
        return claim.adapter

    def read(self, path: str, split: str | None = None, max_rows: int | None = None) -> Rows:
        """Read with the adapter that fits the rows; see `RowSource.read`."""
        adapter = self.resolve(path, split)
        return super().read(path, split, max_rows) if adapter is self else adapter.read(path, split, max_rows)


def _check_cells(table: Table, where: str) -> None:
    """Raise UserError where columns bear the usual names, and hold neither text nor messages."""
    usual = dict.fromkeys((*PROMPTS, "messages", *(name for pair in PAIRS for name in pair)))
    kinds = {name: table.kind(name) for name in usual if name in table.columns}
    wrong = [name for name, found in kinds.items() if found not in (Kind.TEXT, Kind.DIALOGUE)]
    if wrong:
        held = ", ".join(f"{found.value if (found := kinds[name]) else 'nothing'} in {name}" for name in wrong)
        others = [name for name in table.columns if name not in wrong]
        also = f"; the rows also have {', '.join(sorted(others))}" if others else ""
        raise UserError(
            f"{where}: Auto needs text or messages in the columns of prompts and answers, got {held}{also}. "
            "--data.adapter=PromptResponse --data.adapter.prompt_field=COLUMN names another column of prompts"
        )


def description(adapter: Adapter, rows: Sequence[Row]) -> str:
    """Return what an adapter makes of the columns of such rows, and which of them it ignores."""
    whole = Table(rows).typical()
    found = ", ".join(f"{role} = {column}" for role, column in adapter.fields(whole).items())
    ignored = ", ".join(name for name in whole if name not in adapter.uses(whole))
    return f"read as {type(adapter).__name__} with {found}" + (f"; ignored: {ignored}" if ignored else "")

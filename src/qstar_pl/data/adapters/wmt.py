"""WMT: sentences with their translations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import mapping, need, texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Table
from qstar_pl.data.reading.rejected import RowError
from qstar_pl.errors import UserError
from qstar_pl.types import Example

LANGUAGES: Mapping[str, str] = {
    "cs": "Czech",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fi": "Finnish",
    "fr": "French",
    "gu": "Gujarati",
    "ha": "Hausa",
    "hi": "Hindi",
    "is": "Icelandic",
    "ja": "Japanese",
    "kk": "Kazakh",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "ro": "Romanian",
    "ru": "Russian",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "zh": "Chinese",
}
"""Names of WMT's languages by code; another code stands for itself."""


@dataclass(frozen=True)
class WMT(Adapter):
    """Rows with `translation`, an object of language codes and texts. The answer is the target language's text.

    `metadata` holds `source_language`, `target_language` and `reference` (the answer, for BLEU and the like). Rows with
    an empty side are counted and left out.
    """

    source_language: str = "en"
    """Code of the language to translate from."""
    target_language: str | None = None
    """Code of the language to translate into; None: the other one, where a row has two."""
    instruction: str = "Translate from {source} to {target}.\n\n"
    """Text before the sentence; {source} and {target} stand for the languages' names."""

    def __post_init__(self) -> None:
        if self.source_language == self.target_language:
            raise UserError(f"target_language must differ from source_language, got {self.target_language} for both")
        try:
            self.instruction.format(source="", target="")
        except (KeyError, IndexError, ValueError) as error:
            raise UserError(
                f"instruction must hold no braces but {{source}} and {{target}}, got {self.instruction!r}"
            ) from error

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        sides = self._sides(row, where)
        source, target = self.source_language, self._target(sides, where)
        sentence, reference = (text.strip() for text in texts(sides, (source, target), where, type(self).__name__))
        names = {"source": LANGUAGES.get(source, source), "target": LANGUAGES.get(target, target)}
        prompt = self.instruction.format(**names) + sentence if sentence else ""
        metadata = {"source_language": source, "target_language": target, "reference": reference, "source": where}
        return single_turn(prompt, reference, None, metadata)

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        target = self._target(self._sides(row, "the row"), "the row")
        return {"prompt": f"translation.{self.source_language}", "chosen": f"translation.{target}"}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("translation",)

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim texts by language."""

        def by_language(value: Any) -> bool:
            return isinstance(value, Mapping) and len(value) > 1 and all(len(code) < 8 for code in value)

        if table.share("translation", by_language) <= 0.5:
            return None
        codes = Counter(code for value in table.values("translation") if by_language(value) for code in value)
        commonest = max(codes, key=lambda code: (codes[code], code == "en"))  # the first of equals, but English
        return Claim(Confidence.DATASET, cls(source_language=commonest))

    def _sides(self, row: Row, where: str) -> dict[str, str]:
        need(row, ("translation",), where, type(self).__name__)
        return mapping(row["translation"], "translation", where)

    def _target(self, sides: Mapping[str, str], where: str) -> str:
        if self.target_language is not None:
            return self.target_language
        others = [code for code in sides if code != self.source_language]
        if not others or self.source_language not in sides:
            rule = f"translation must hold {self.source_language} and another language"
            raise RowError(where, f"{rule}, got {', '.join(sides) or 'none'}", rule)
        if len(others) > 1:
            raise UserError(f"target_language must be given where {where} has several: {', '.join(others)}")
        return others[0]

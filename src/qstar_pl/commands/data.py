"""`qstar data`: show the rows, fields and examples that an adapter finds in a dataset.

Rows that are left out are counted by reason, with the first place of each.

    qstar data --path tiny --examples 2
    qstar data --path rows.jsonl --adapter PromptResponse --max_rows 100
    qstar data --adapter.help
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from qstar_pl.cli.class_help import Asked, Page, answer_help
from qstar_pl.cli.layers.typed_paths import TypedPaths
from qstar_pl.cli.parser import OneLineParser, prepared
from qstar_pl.data import Auto, Rendering, RowFilter, RowSource, TokenizerRendering
from qstar_pl.data.adapters.rows import Rows
from qstar_pl.data.selection.left_out import MAX_LEFT_OUT, check_share, lines
from qstar_pl.data.text.chat import Dialogues, remarks
from qstar_pl.data.text.templates import Template
from qstar_pl.data.wording import OF_DATA, speaking, worded
from qstar_pl.errors import UserError
from qstar_pl.spelling import without_controls
from qstar_pl.types import Example

GROUP = "data"
"""Below which heading `qstar --help` lists it."""

_LONGEST = 300


@dataclass(frozen=True)
class Inspection:
    """Options of `qstar data`; those that `qstar fit` also has, under --data, mean the same there."""

    path: str | None = None
    """File, folder or hub id; must be given unless the adapter is a Mixture."""
    adapter: RowSource = field(default_factory=Auto)
    """How rows become examples; Auto detects it from the columns."""
    split: str | None = None
    """Split of a dataset on the hub, or of the files in a folder."""
    max_rows: int | None = None
    """Largest number of rows to read; all by default."""
    max_left_out: float = MAX_LEFT_OUT
    """Largest share of the rows read that may be left out; filters and subsets do not count."""
    examples: int = 1
    """Number of examples to print."""
    filters: list[RowFilter] | None = None
    """Leave rows out by length, reward margin or duplicate prompts."""
    subset_size: int | None = None
    """Number of rows to use; all by default."""
    system_prompt: str | None = None
    """A system turn for dialogues without one."""
    tokenizer: str = "tiny"
    """Tokenizer whose chat template is used, and whose tokens filters count."""
    rendering: Rendering = field(default_factory=TokenizerRendering)
    """How dialogues become text."""

    def __post_init__(self) -> None:
        if not self.path and self.adapter.needs_path:
            raise UserError("path must name a file, a folder or a hub id, got nothing")
        for name, least in (("max_rows", 1), ("examples", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(f"{name} must be at least {least}, got {value}")


def inspect(options: Inspection) -> Iterable[str]:
    """Yield the lines that `qstar data` prints.

    Raises:
        UserError: if the data cannot be read, or, after the counts have been printed, if no row is usable.

    """
    # Here, so that --help answers without them.
    from qstar_pl.data.selection.preparation import Selection
    from qstar_pl.models.tokenizers import load_tokenizer

    tokenizer = load_tokenizer(options.tokenizer, argument="tokenizer")
    path = options.path or ""
    adapter = options.adapter.resolve(path, options.split)
    rows = adapter.read(path, options.split, options.max_rows)
    selection = Selection(tuple(options.filters or ()), options.subset_size, options.system_prompt)
    examples, left_out = selection.apply(rows.examples, tokenizer)
    total = (rows.rejected + left_out).total()
    yield f"{adapter.named(path)}: {rows.read} rows read, {len(examples)} used"
    yield from lines(rows.rejected + left_out, rows.first, rows.places)
    check_share(path, rows, options.max_left_out)
    if not examples:
        none = ", all of them left out" if rows.read else ""
        raise UserError(f"path must hold a usable row, got {rows.read} rows in {path}{none}")
    yield from _parts(rows, examples)
    yield from _fields(adapter, examples)
    yield from _counts(examples)
    if total:
        yield f"  {total / rows.read:.1%} of all rows are left out"
    template = options.rendering.template(tokenizer)
    yield from (f"  {line}" for line in remarks(template, Dialogues.of(example.turns for example in examples)))
    for number, example in enumerate(examples[: options.examples], start=1):
        yield ""
        yield f"example {number}: {example.metadata['source']}"
        yield from _shown(example, template)


def _parts(rows: Rows, examples: Sequence[Example]) -> Iterable[str]:
    for part in rows.parts:
        used = sum(example.metadata["part"] == part.name for example in examples)
        weight = ", held out" if part.held_out else "" if part.weight is None else f", weight {part.weight:g}"
        yield f"  part {part.name}: {part.read} rows read, {used} used{weight}"


def _fields(source: RowSource, examples: Sequence[Example]) -> Iterable[str]:
    first: dict[str | None, Example] = {}
    for example in examples:
        first.setdefault(example.metadata.get("part"), example)
    for part, example in first.items():
        rows = [one.metadata["row"] for one in examples if one.metadata.get("part") == part]
        # The first row that has a column gives its value: rows of JSON lines need not all have the same columns.
        row: Mapping[str, Any] = {name: value for one in reversed(rows) for name, value in one.items()}
        adapter = source.adapter_of(example)
        found = "; ".join(f"{role} = {column}" for role, column in adapter.fields(row).items())
        of = "" if part is None else f" of {part}"
        yield f"  columns{of}: {', '.join(dict.fromkeys(name for one in rows for name in one))}"
        yield f"  fields{of}: {found}"
        if ignored := [name for name in row if name not in adapter.uses(row)]:
            yield f"  ignored{of}: {', '.join(ignored)}"


def _counts(examples: Sequence[Example]) -> Iterable[str]:
    prompts = len({example.key for example in examples})
    answers = sum(example.chosen is not None for example in examples)
    pairs = sum(example.rejected is not None for example in examples)
    yield f"  {prompts} different prompts; {answers} rows with an answer, {pairs} of them with a worse one too"
    turns = sum(len(example.turns) > 1 for example in examples)
    yield f"  {turns} dialogues of several turns"
    lengths = {
        "prompts": [sum(len(turn.content) for turn in example.turns) for example in examples],
        "answers": [len(text) for one in examples for text in (one.chosen, one.rejected) if text is not None],
    }
    for name, values in lengths.items():
        if values:
            yield f"  characters of {name}: {min(values)} to {max(values)}, median {median(values):g}"


def _shown(example: Example, template: Template) -> Iterable[str]:
    texts = {"prompt": template.prompt(example.turns)}
    for name, answer in (("chosen", example.chosen), ("rejected", example.rejected)):
        if answer is not None:
            texts[name] = template.completion(example.turns, answer)
    for name, text in texts.items():
        text = template.shown(text)
        yield f"  {name}:"
        yield from (f"    | {line}" for line in text.split("\n"))
    if kept := {name: value for name, value in example.metadata.items() if name not in ("row", "source")}:
        yield "  metadata:"
        yield from (f"    {name}: {_short(value)}" for name, value in kept.items())


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def parser() -> OneLineParser:
    """Return the command's parser."""
    top = OneLineParser(prog="qstar data")
    top.add_argument("--config", action="config", help="a YAML file of any of these options; by default none")
    top.add_class_arguments(Inspection, sub_configs=True)
    return top


def parse(argv: Sequence[str]) -> Inspection:
    """Return the options that the words give.

    Raises:
        UserError: if their values are out of range.

    """
    words = prepared(argv)
    own, paths, asked = parser(), TypedPaths(), Asked.by(words)
    with paths.in_yaml():
        config = own.parse_args(paths.words(words if asked is None else asked.rest))
        if asked is not None:
            answer_help(own, Page("qstar data", __doc__, {"options": lambda option: True}), asked, config)
        given = own.instantiate(config)
    return Inspection(**{name: value for name, value in given.items() if name != "config"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    with speaking(OF_DATA):
        for line in inspect(parse(sys.argv[1:] if argv is None else argv)):
            said = line if line.startswith("    ") else worded(line)  # examples are printed verbatim
            print(without_controls(said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

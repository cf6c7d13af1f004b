"""The prompts of a dataset, in the batches that are not answered yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qstar_pl.data import RLHFDataModule
from qstar_pl.data.adapters.adapter import RowSource
from qstar_pl.data.batches.attached import Attached
from qstar_pl.data.batches.loader import EvaluationLoader
from qstar_pl.data.selection import left_out
from qstar_pl.data.selection.left_out import MAX_LEFT_OUT
from qstar_pl.data.text.chat import ChatTemplate, Dialogues, remarks
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.data.text.rendering import Rendering, TokenizerRendering
from qstar_pl.data.text.templates import Template
from qstar_pl.data.wording import OF_GENERATE, announce, speaking
from qstar_pl.errors import UserError
from qstar_pl.generation.plan import Plan, plan_batches, prompts_digest
from qstar_pl.generation.prompts import Prompts, choose_source, read_prompts
from qstar_pl.generation.unit import UnitCollate
from qstar_pl.models.run_date import run_date
from qstar_pl.spelling import counted


class Unsized:
    """Batches without a length.

    A process with nothing left to do must still run the hooks in which the others wait for it; Lightning skips the loop
    if the length is 0, and raises an error if that of other processes is not.
    """

    def __init__(self, loader: EvaluationLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)


class GenerationData(RLHFDataModule):
    """All rows of a dataset, or a range of them, for `predict`, without splits.

    Batches are planned over all rows, whatever is already finished, and dealt to the processes in turn.
    """

    prompts: Prompts
    """Available after `setup`."""
    plan: Plan
    """Available after `setup`."""
    template: Template
    """Available after `setup`."""

    def __init__(
        self,
        path: str = "tiny",
        adapter: RowSource | None = None,
        split: str | None = None,
        prompt_field: str | None = None,
        response_field: str | None = None,
        rendering: Rendering = TokenizerRendering(),
        tokenizer: str | None = None,
        start_idx: int = 0,
        end_idx: int | None = None,
        batch_size: int = 8,
        max_prompt_tokens: int = 512,
        max_left_out: float = MAX_LEFT_OUT,
        system_prompt: str | None = None,
    ) -> None:
        """Describe the prompts; nothing is read yet.

        Args:
            path: "tiny", a .jsonl, .json, .csv or .tsv file (also .gz), .parquet or .arrow, a folder of such files,
                or a dataset's id on the Hugging Face hub.
            adapter: how a row becomes a prompt; None: by `prompt_field`.
            split: split of a dataset on the hub (default: train), or of the files in a folder.
            prompt_field: column of the prompt; None: found from the columns.
            response_field: column of the answer, given if rows without an answer are to be left out.
            rendering: how dialogues become text; by default the tokenizer's chat template, else HH-RLHF's form.
            tokenizer: hub id or folder of a tokenizer, or "tiny". By default the policy's.
            start_idx: first row.
            end_idx: row after the last one; None: to the end.
            batch_size: prompts decoded together.
            max_prompt_tokens: longer prompts lose their oldest turns, then tokens on the left.
            max_left_out: largest share of the rows that may be left out.
            system_prompt: a system turn for dialogues without one.

        """
        super().__init__(
            path=path,
            adapter=adapter,
            split=split,
            tokenizer=tokenizer,
            batch_size=batch_size,
            max_prompt_tokens=max_prompt_tokens,
            max_left_out=max_left_out,
            rendering=rendering,
            system_prompt=system_prompt,
        )
        self.system_prompt = system_prompt
        self.prompt_field = prompt_field
        self.response_field = response_field
        self.start_idx = start_idx
        self.end_idx = end_idx
        self.finished: frozenset[int] = frozenset()
        """Batches of the plan that are already answered; set before the loader is made."""
        self._together = False
        self.digest = ""
        """Fingerprint of the prompts; empty before `setup`."""

    @classmethod
    def of(cls, data: RLHFDataModule) -> GenerationData:
        """Return the prompts of a data module of `fit`: all rows, whichever split they belong to there.

        Options that concern training only, such as `val_fraction`, have no effect here.

        Raises:
            UserError: if it has filters or a subset; here, `start_idx` and `end_idx` choose rows.

        """
        if isinstance(data, cls):
            return data
        selection = data.preparation.selection
        for name, value in (("filters", selection.filters), ("subset_size", selection.subset_size)):
            if value:
                raise UserError(
                    f"data.{name} must be left out: GenerationData takes start_idx and end_idx, got {value}"
                )
        return cls(
            data.path,
            data.adapter,
            data.split,
            rendering=data.rendering,
            tokenizer=data.tokenizer,
            end_idx=data.max_rows,
            batch_size=data.eval_batch_size,
            max_prompt_tokens=data.max_prompt_tokens,
            max_left_out=data.max_left_out,
            system_prompt=selection.system_prompt,
        )

    def setup(self, stage: str | None = None) -> None:
        """Read and tokenize the prompts and plan the batches, once; print what became of the rows."""
        if self.digest:
            return
        with speaking(OF_GENERATE):
            self._read()

    def _read(self) -> None:
        wanted = self.adapter or choose_source(self.path, self.prompt_field, self.response_field)
        source = wanted.resolve(self.path, self.split)
        # 1: answers are not encoded, so their longest length does not matter.
        encoder = Encoder(self._tokenizer(), self.max_prompt_tokens, 1, rendering=self.rendering)
        self.prompts = read_prompts(
            source, self.path, self.split, encoder, self.start_idx, self.end_idx, self.max_left_out, self.system_prompt
        )
        # Any id will do, since pads are masked.
        self._pad_id = int(encoder.tokenizer.pad_token_id or 0)
        method = Attached(self.trainer).method
        samples, refill = int(getattr(method, "samples_per_prompt", 1)), bool(getattr(method, "refills", False))
        lengths = [len(row.prompt) for row in self.prompts.encoded]
        self.plan = plan_batches(lengths, self.batch_size, samples, refill=refill)
        self._together = refill
        self.digest = prompts_digest(self.prompts.encoded)
        self.template = encoder.template
        announce(self._lines(source.named(self.path)))

    def _lines(self, name: str) -> str:
        prompts = self.prompts
        batches = counted(-(-len(prompts.encoded) // self.batch_size), "batch", "batches")
        lines = [f"Data: {name}: {counted(len(prompts.encoded), 'prompt')} in {batches}"]
        lines += left_out.lines(prompts.rejected, prompts.first)
        if prompts.cut:
            lines.append(f"  {prompts.cut} prompts were cut to max_prompt_tokens={self.max_prompt_tokens}")
        if prompts.repeated:
            lines.append(f"  {prompts.repeated} prompts stand in the data before; they get answers of their own")
        lines += [
            f"  {line}" for line in remarks(self.template, Dialogues.of(row.example.turns for row in prompts.encoded))
        ]
        return "\n".join(lines)

    @property
    def date(self) -> dict[str, str]:
        """The run's date, if the chat template can write it, for `GenerationWriter`; nothing else depends on time."""
        dated = isinstance(self.template, ChatTemplate) and self.template.writes_date
        return {"date": run_date().isoformat()} if dated else {}

    def identity(self) -> dict[str, Any]:
        """Return what identifies these prompts, and how many there are; for `GenerationWriter`."""
        prompts = self.prompts
        found = {
            "prompts": self.digest,
            "rows": self.plan.rows,
            "used": len(prompts.encoded),
            "cut": prompts.cut,
            "left_out": dict(sorted(prompts.rejected.items())),
        }
        # Earlier versions made other units of the same batches, which are not to be mixed with these.
        return found | ({"units": len(self.plan.batches)} if self._together else {})

    def dealt(self) -> list[int]:
        """Return the batches of this process: of the unfinished ones, every `world_size`-th."""
        # Dealt among what is left, so that a run that continues shares it evenly, on however many processes.
        share = Attached(self.trainer).share
        left = [batch for batch in range(len(self.plan.batches)) if batch not in self.finished]
        return left[share.rank :: share.world_size]

    def fillers(self) -> list[int]:
        """Return batches that this process draws only because sharded models need all processes in every call.

        Their answers are not part of the output.
        """
        attached = Attached(self.trainer)
        if getattr(attached.method, "device_mesh", None) is None:
            return []
        left = [batch for batch in range(len(self.plan.batches)) if batch not in self.finished]
        # The most batches that any process has, ⌈left / world_size⌉.
        most = -(-len(left) // attached.share.world_size)
        return left[:1] * (most - len(self.dealt()))

    def predict_dataloader(self) -> Any:
        """Return this process's batches."""
        batches = [list(self.plan.batches[batch]) for batch in (*self.dealt(), *self.fillers())]
        seal = Attached(self.trainer).seal
        collate = UnitCollate(self._pad_id, self.batch_size)
        return Unsized(EvaluationLoader(self.prompts.encoded, collate, batches, seal=seal))

    def settings(self) -> dict[str, Any]:
        """Return what decides which prompts are in which batch; for `GenerationWriter`."""
        names = ("path", "split", "prompt_field", "response_field", "start_idx", "end_idx", "batch_size")
        own = {name: getattr(self, name) for name in (*names, "max_prompt_tokens")}
        if self.system_prompt is not None:
            own["system_prompt"] = self.system_prompt
        return {**own, "adapter": repr(self.adapter), "rendering": repr(self.rendering)}

"""Work on prompts in chunks, each of which is on the disk as a whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qstar_pl.describing import differences
from qstar_pl.evaluating.progress import StageProgress
from qstar_pl.evaluating.ranks import Ranks
from qstar_pl.generation.plan import Plan
from qstar_pl.generation.shard import Shard, repair, scan
from qstar_pl.generation.workspace import json_bytes, replace_file

Record = Mapping[str, Any]


class Stage:
    """A folder with one shard per process and what the work depends on.

    A chunk is appended to the process's shard when it is done, as `qstar generate` does with its batches. What chunks
    hold depends neither on the number of processes nor on where an earlier run was killed.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], prompts: int, chunk: int) -> None:
        """Describe the work; nothing is touched yet.

        Args:
            folder: of its own.
            identity: all that decides the records, as JSON can hold it.
            prompts: how many.
            chunk: how many of them are worked on together.

        """
        self.folder = folder
        self.identity = json.loads(json.dumps({**identity, "prompts": prompts, "chunk": chunk}))
        starts = range(0, prompts, chunk)
        self.plan = Plan(tuple(tuple(range(start, min(start + chunk, prompts))) for start in starts), samples=1)

    @property
    def _about(self) -> Path:
        return self.folder / "stage.json"

    def begin(self) -> list[str]:
        """Make the folder ready; by process 0, while no other one works. Records of other work are removed.

        Returns:
            How the other work differed; empty if none of it had been done.

        """
        stored = _read(self._about)
        changed = differences(stored, self.identity) if stored else []
        done = bool(self._shards())
        if changed or not stored:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            replace_file(self._about, json_bytes(self.identity))
        for shard in self._shards():
            repair(shard, self.plan)
        return changed if done else []

    def left(self) -> list[int]:
        """Return the chunks that are not done."""
        done = {number for shard in self._shards() for number in scan(shard, self.plan).batches}
        return [number for number in range(len(self.plan.batches)) if number not in done]

    def run(
        self,
        work: Callable[[Sequence[int]], Sequence[Record]],
        ranks: Ranks,
        progress: StageProgress,
    ) -> None:
        """Do what is left of the work; every process must call it.

        Args:
            work: prompts of a chunk → a record each.
            ranks: the processes.
            progress: is told of each chunk.

        Raises:
            OSError: if the disk is full; finished chunks are kept.

        """
        left = self.left()
        ranks.barrier()  # nobody writes before all have looked
        own = ranks.share(left)
        progress.start(sum(len(self.plan.rows_of(number)) for number in own))
        shard: Shard | None = None
        done = 0
        try:
            for number in own:
                rows = self.plan.rows_of(number)
                records = work(rows)
                shard = shard or Shard(self.folder / f"shard-{ranks.rank:05d}.jsonl")
                shard.append(number, rows, records)
                done += len(rows)
                progress.reach(done)
        finally:
            progress.stop()
            if shard is not None:
                shard.close()
        ranks.barrier()  # nobody reads before all have written

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records in the order of the prompts, once all are there."""
        found: dict[int, dict[str, Any]] = {}
        for shard in self._shards():
            with shard.open("rb") as file:
                for entry in map(json.loads, file):
                    found.setdefault(entry["row"], entry["record"])
        for row in range(sum(map(len, self.plan.batches))):
            yield found[row]

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("shard-*.jsonl"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # absent, or damaged: then it is not this work
        return {}

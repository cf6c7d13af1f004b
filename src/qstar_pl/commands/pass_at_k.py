"""`qstar pass-at-k`: run sampled programs against their tests in a sandbox and report pass@k.

    qstar pass-at-k samples.jsonl --problems HumanEval.jsonl.gz
    qstar pass-at-k --problems HumanEval.jsonl.gz --check_reference
    qstar pass-at-k --describe_isolation

Programs run in a sandbox; --describe_isolation prints which walls this machine's kernel allows.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qstar_pl.checks import at_least
from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError, argument_called
from qstar_pl.evaluation.pass_at_k import mean_pass_at_k
from qstar_pl.files import check_not_read, check_writable, write_text
from qstar_pl.sandbox import (
    ExecutionPool,
    Limits,
    Outcome,
    Task,
    Verdict,
    describe_isolation,
)

if TYPE_CHECKING:
    from qstar_pl.evaluation.samples import Problems, Sample

GROUP = "look"
"""Below which heading `qstar --help` lists it."""


def parser() -> ToolParser:
    """Return the command's parser."""
    limits = Limits()
    top = ToolParser("qstar pass-at-k", __doc__)
    top.add_argument(
        "samples", type=place, nargs="?", help="JSON lines of qstar generate, or of task_id and completion"
    )
    top.add_argument(
        "--problems",
        type=place,
        help="HumanEval.jsonl.gz, or rows of APPS; must be given unless isolation is described",
    )
    top.add_argument(
        "--k", type=int, nargs="+", default=[1, 10, 100], help="numbers of samples k of which pass@k is estimated"
    )
    top.add_argument("--workers", type=int, help="programs at once (default: one per usable processor)")
    top.add_argument("--output", type=place, help="a JSON object per sample (default: SAMPLES.results.jsonl)")
    top.add_argument("--wall_s", type=float, default=limits.wall_s, help="longest run of a program, seconds")
    top.add_argument("--cpu_s", type=int, default=limits.cpu_s, help="most processor time of a program, seconds")
    top.add_argument(
        "--memory_mib", type=int, default=limits.memory_mib, help="largest address space of a program, MiB"
    )
    top.add_argument("--check_reference", action="store_true", help="run the problems' own solutions instead")
    top.add_argument("--describe_isolation", action="store_true", help="say which walls stand here, and end")
    return top


def reference_samples(problems: Problems) -> list[Sample]:
    """Return the problems' own solutions.

    Raises:
        UserError: if there is none.

    """
    from qstar_pl.evaluation.samples import Sample

    samples = [
        Sample(problem, program, number)
        for problem in problems.by_key.values()
        for number, program in enumerate(problem.references)
    ]
    if not samples:
        raise UserError("problems must have reference solutions for --check_reference, got none")
    return samples


def result_row(sample: Sample, verdict: Verdict) -> dict[str, Any]:
    """Return the row that is written for one sample."""
    return {
        "task_id": sample.problem.key,
        "sample_idx": sample.sample_idx,
        "passed": verdict.passed,
        "result": verdict.outcome.value,
        "detail": verdict.detail,
        "passed_tests": verdict.passed_tests,
        "tests": verdict.tests,
        "seconds": round(verdict.seconds, 4),
    }


def counts_per_problem(samples: Sequence[Sample], verdicts: Sequence[Verdict]) -> dict[str, tuple[int, int]]:
    """Return problem key → (number of samples, how many passed)."""
    drawn = Counter(sample.problem.key for sample in samples)
    passed = Counter(sample.problem.key for sample, verdict in zip(samples, verdicts, strict=True) if verdict.passed)
    return {key: (number, passed[key]) for key, number in drawn.items()}


def summary(counts: Mapping[str, tuple[int, int]], verdicts: Sequence[Verdict], ks: Sequence[int]) -> str:
    """Return lines on pass@k, for each k for which every problem has enough samples, and on how programs failed."""
    # The estimator averages over problems and needs at least k samples of each.
    fewest = min(samples for samples, _ in counts.values())
    lines = []
    for k in ks:
        if k <= fewest:
            lines.append(f"pass@{k:<5}{mean_pass_at_k(list(counts.values()), k):.4f}   over {len(counts)} problems")
        else:
            lines.append(f"pass@{k:<5}needs {k} samples of each problem, got {fewest} of one")
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    lines.append(f"passed    {outcomes[Outcome.PASSED]} of {len(verdicts)} programs")
    failures = [f"{outcome.value} {outcomes[outcome]}" for outcome in Outcome if outcome is not Outcome.PASSED]
    lines.append("failed    " + ", ".join(failures))
    return "\n".join(lines)


def write_results(path: Path, samples: Sequence[Sample], verdicts: Sequence[Verdict]) -> None:
    """Write a JSON object per sample."""
    rows = [json.dumps(result_row(sample, verdict)) for sample, verdict in zip(samples, verdicts, strict=True)]
    write_text(path, "".join(f"{row}\n" for row in rows))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if reference solutions were run and one of them fails."""
    given = parser().parse_args(argv)
    if given.describe_isolation:
        print(describe_isolation())
        return 0
    if given.problems is None:
        raise UserError("problems must name HumanEval's file or one with rows of APPS, got none")
    # Exactly one of the two must be given.
    if (given.samples is None) != given.check_reference:
        raise UserError(f"samples or --check_reference must be given, and not both, got {given.samples}")
    at_least(1, k=min(given.k), workers=given.workers)
    from qstar_pl.evaluation.samples import read_problems, read_samples

    limits = Limits(wall_s=given.wall_s, cpu_s=given.cpu_s, memory_mib=given.memory_mib)
    with argument_called("problems", inside="path"):
        problems = read_problems(given.problems)
    output = _output(given.output, given.samples, given.problems)
    for line in problems.complaints():
        print(line, file=sys.stderr)
    with argument_called("samples", inside="path"):
        samples = reference_samples(problems) if given.check_reference else read_samples(given.samples, problems)
    started = time.monotonic()
    with ExecutionPool(given.workers, limits) as pool:
        if warning := pool.isolation.warning():
            print(f"warning: {warning}", file=sys.stderr)
        verdicts = pool.judge(Task(sample.problem, sample.program) for sample in samples)
    seconds = time.monotonic() - started
    counts = counts_per_problem(samples, verdicts)
    if missing := len(problems.by_key) - len(counts):
        what = "reference solution" if given.check_reference else "sample"
        print(f"note: {missing} of {len(problems.by_key)} problems have no {what} and do not count", file=sys.stderr)
    if output is not None:
        write_results(output, samples, verdicts)
    if given.check_reference:
        return _print_references(samples, verdicts, counts, seconds)
    print(summary(counts, verdicts, given.k))
    print(f"{len(samples)} programs in {seconds:.1f} s: {len(samples) / seconds:.1f} per second; results in {output}")
    return 0


def _output(given: Path | None, samples: Path | None, problems: Path) -> Path | None:
    """Return the file of the results, before any program runs; None: none is written."""
    from qstar_pl.data.reading import local_files

    output = given
    if output is None and samples is not None:
        output = samples.with_name(samples.name + ".results.jsonl")
    if output is not None:
        check_writable(output)
        read = local_files(str(problems)) or []  # on the hub, nothing can be written over
        check_not_read(output, read if samples is None else [samples, *read])
    return output


def _print_references(
    samples: Sequence[Sample], verdicts: Sequence[Verdict], counts: Mapping[str, tuple[int, int]], seconds: float
) -> int:
    for sample, verdict in zip(samples, verdicts, strict=True):
        if not verdict.passed:
            print(f"{sample.problem.key} solution {sample.sample_idx}: {verdict.outcome.value}: {verdict.detail}")
    passed = sum(verdict.passed for verdict in verdicts)
    whole = sum(number == right for number, right in counts.values())
    print(f"reference solutions: {passed}/{len(samples)} pass; all of {whole}/{len(counts)} problems; {seconds:.1f} s")
    return 0 if passed == len(samples) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Two cells with two seeds, run by a stand-in for `qstar fit`: `python small_experiment.py OUTPUT`."""

import sys
from dataclasses import replace
from pathlib import Path

from qstar_pl.experiments.matrix import Budget, Cell, Evaluation, Experiment, Report, Settings
from qstar_pl.experiments.results.files import write_results
from qstar_pl.experiments.results.outcome import Outcome, outcome
from qstar_pl.experiments.running.launcher import Settled, Template
from qstar_pl.experiments.running.planned import PlannedRun, plan, prepare

STAND_IN = Path(__file__).with_name("stand_in_fit.py")
TEMPLATE = f"exec {sys.executable} {STAND_IN} {{command}}"
CODE = "1.0+abc"


def experiment(budget: int = 48, **words: str) -> Experiment:
    """Cells "one" and "two"; `one="--model.fail=true"` adds a word to the first."""
    cells = [
        Cell(name, {"method": name}, (f"--config={name}", *filter(None, [words.get(name)]))) for name in ("one", "two")
    ]
    return Experiment(
        "small",
        "tiny",
        Path("small.yaml"),
        "Small",
        "?",
        "",
        cells,
        (0, 1),
        Budget("samples", budget),
        Evaluation(),
        Report(),
    )


def in_stages(**words: str) -> Experiment:
    """The same with "two" starting where "one" ends."""
    whole = experiment(96, **words)
    one, two = whole.cells
    return replace(whole, cells=[replace(one, is_stage=True), replace(two, after="one")])


def runs(output: Path, whole: Experiment | None = None, code: str = CODE, steps: int = 6) -> list[PlannedRun]:
    whole = whole or experiment()
    same = {"trainer.max_steps": steps, "data.init_args.batch_size": 8}
    settings = {cell.name: Settings({**same, "words": list(cell.words)}) for cell in whole.cells}
    return plan(whole, settings, whole.seeds, output, code)


def go(planned: list[PlannedRun], jobs: int = 2, template: str = TEMPLATE, again: bool = False) -> list[str]:
    """Run what is left to do; return what was said."""
    todo, said = prepare(planned, again)
    if todo:
        Template(template).start(todo, Settled(jobs, 1, "small", planned[0].folder.output), said.append)
    return said


def write(planned: list[PlannedRun], whole: Experiment | None = None) -> list[Outcome]:
    whole = whole or experiment()
    found = [outcome(run, whole.budget) for run in planned]
    write_results(whole, found, planned[0].folder.output)
    return found


if __name__ == "__main__":
    every = runs(Path(sys.argv[1]))
    go(every)
    write(every)

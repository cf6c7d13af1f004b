"""Reads `configs/experiments/*.yaml`: a matrix over base configurations, named overrides and seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.experiments.matrix.experiment import (
    TUNED,
    UNITS,
    Budget,
    Cell,
    Evaluation,
    Experiment,
    Report,
    Tune,
    Unit,
)
from qstar_pl.experiments.matrix.located_yaml import Located, read_located
from qstar_pl.experiments.matrix.stages import AFTER

VARIANTS = ("tiny", "full")
FIELDS = ("title", "question", "description", "axes", "evaluation", "report", "tune", *VARIANTS)
OF_VARIANT = ("methods", "axes", "options", "seeds", "budget", "evaluation", "minutes", "threads", "slurm", "tune")
TAKEN = ("config", "ckpt_path", "name", "seed_everything", "trainer.default_root_dir")
"""Options that say which run it is, and where it lies: the runner gives them."""
FIRST = "--trainer.callbacks+=ValidateFirst"
METHOD = "method"
"""The factor of that name is a cell's base configuration."""

Find = Callable[[str], Path]
"""From a name or path to a configuration's file; raises UserError if there is none."""


@dataclass(frozen=True)
class _Level:
    """A level of an axis: what it is called, and the options it brings."""

    name: str
    options: dict[str, Located]


def variants_of(file: Path) -> list[str]:
    """Return the variants that a file describes."""
    found = read_located(file).fields(*FIELDS, required=("title", "question"))
    return [name for name in VARIANTS if name in found]


def read_experiment(file: Path, variant: str, find: Find) -> Experiment:
    """Return one variant of an experiment.

    Args:
        file: YAML.
        variant: "tiny" or "full".
        find: of base configurations.

    Raises:
        UserError: in one line with file and line, if anything in it is unknown, of a wrong type or inconsistent.

    """
    whole = read_located(file)
    top = whole.fields(*FIELDS, required=("title", "question"))
    if variant not in top:
        there = [name for name in VARIANTS if name in top]
        raise UserError(
            f"variant must be one that {file} describes, {' or '.join(there) or 'none so far'}, got {variant}"
        )
    for name in VARIANTS:  # also what is not asked for must be right
        if name in top:
            top[name].fields(*OF_VARIANT, required=("methods", "seeds", "budget"))
    here = top[variant].fields(*OF_VARIANT)
    budget = _budget(here["budget"])
    evaluation, measured = _evaluation(here.get("evaluation") or top.get("evaluation"))
    shared = {**measured, **_options(here.get("options"))}
    axes = {**_axes(top.get("axes")), **_axes(here.get("axes"))}
    cells = _in_stages(list(_cells(here["methods"], axes, shared, budget, find)), here["methods"], budget)
    if not cells:
        top[variant].refuse("have at least one method")
    seeds = _seeds(here["seeds"])
    return Experiment(
        name=file.stem,
        variant=variant,
        file=file,
        title=top["title"].text(),
        question=top["question"].text(),
        description=top["description"].text() if "description" in top else "",
        cells=cells,
        seeds=seeds,
        budget=budget,
        evaluation=evaluation,
        report=_report(top.get("report"), [cell.name for cell in cells if not cell.is_stage]),
        minutes=here["minutes"].number() if "minutes" in here else None,
        threads=here["threads"].integer(1) if "threads" in here else None,
        slurm=tuple(f"{key}={one.value}" for key, one in here["slurm"].entries().items()) if "slurm" in here else (),
        tune=_tune(here.get("tune") or top.get("tune"), cells, seeds),
    )


def _cells(
    methods: Located, axes: Mapping[str, Sequence[_Level]], shared: Mapping[str, Located], budget: Budget, find: Find
) -> Iterator[Cell]:
    bases = methods.named()
    for method, base in bases.items():
        config, own, crossed = _method(base, find, axes)
        for levels in product(*crossed.values()):
            options = {key: one for key, one in shared.items() if key not in own} | own
            for level in levels:
                # Put last even where it replaces one: a class comes before its arguments.
                options = {key: one for key, one in options.items() if key not in level.options} | level.options
            named = [level.name for level in levels]
            name = "-".join([method, *named] if len(bases) > 1 or not named else named)
            words = [f"--config={config}", *(f"--{key}={_word(one)}" for key, one in options.items()), FIRST]
            yield Cell(
                name,
                {METHOD: method, **dict(zip(crossed, named, strict=True))},
                tuple(words + _stop_at(budget)),
                f"{base.file}:{base.line}",
                {key: f"{one.file}:{one.line}" for key, one in options.items()},
            )


def _in_stages(cells: Sequence[Cell], methods: Located, budget: Budget) -> list[Cell]:
    """Return the cells with the ones that they start from: those of the method that `after` names, at the same levels.

    A method that is crossed with fewer axes lends its one cell to several.
    """
    bases, above = dict[str, str](), list[str]()
    for method, here in methods.named().items():
        above.append(method)
        after = here.entries().get(AFTER) if here.is_mapping else None
        if after is None:
            continue
        if (named := after.text()) not in above[:-1]:
            after.refuse(f"name a method above it ({', '.join(above[:-1]) or 'none'}), got {named}")
        if budget.unit != "samples":
            after.refuse(f"stand with a budget of samples, which can be shared out beforehand, got {budget.unit}")
        for cell in (one for one in cells if one.factors[METHOD] == method):
            found = [one for one in cells if one.factors[METHOD] == named and _agree(one, cell)]
            if not found:
                after.refuse(f"name a method with no other axes than {method}, got {named}")
            bases[cell.name] = found[0].name
    return [replace(cell, after=bases.get(cell.name), is_stage=cell.name in bases.values()) for cell in cells]


def _agree(base: Cell, cell: Cell) -> bool:
    """Return whether a cell has all levels of another."""
    return all(cell.factors.get(axis) == level for axis, level in base.factors.items() if axis != METHOD)


def _stop_at(budget: Budget) -> list[str]:
    """Return the words that end a run at a budget of tokens; steps say how many samples there are."""
    if budget.unit == "samples":
        return []
    amount = f"--trainer.callbacks.amount={budget.amount}"
    return ["--trainer.callbacks+=Budget", f"--trainer.callbacks.unit={budget.unit}", amount]


def _method(
    method: Located, find: Find, axes: Mapping[str, Sequence[_Level]]
) -> tuple[str, dict[str, Located], Mapping[str, Sequence[_Level]]]:
    """Return a method's base configuration, what it needs besides, and the axes that make a difference to it."""
    if not method.is_mapping:
        return _config(method, find), {}, axes
    found = method.fields("config", "options", "axes", AFTER, required=("config",))
    crossed = axes
    if "axes" in found:
        named = [one.text() for one in found["axes"].items()]
        if unknown := [name for name in named if name not in axes]:
            found["axes"].refuse(f"name axes of the experiment ({', '.join(axes) or 'none'}), got {unknown[0]}")
        crossed = {name: levels for name, levels in axes.items() if name in named}
    return _config(found["config"], find), _options(found.get("options")), crossed


def _config(base: Located, find: Find) -> str:
    """Return the name of a configuration that is there, or its path, which may be relative to the experiment's file."""
    named = base.text()
    beside = base.file.parent / named
    if beside.is_file():
        return str(beside)
    try:
        find(named)
    except UserError as error:
        raise UserError(f"{base.file}:{base.line}: {base.name}: {error}") from error
    return named


def _axes(axes: Located | None) -> dict[str, list[_Level]]:
    found = dict[str, list[_Level]]()
    for name, axis in ({} if axes is None else axes.named()).items():
        if name == METHOD:
            axis.refuse(f"be called something else: {METHOD} is what `methods` lists")
        found[name] = [_Level(level, _options(one)) for level, one in axis.named().items()]
        if not found[name]:
            axis.refuse("have at least one level")
    return found


def _options(options: Located | None) -> dict[str, Located]:
    found = {} if options is None else options.entries()
    for key, one in found.items():
        if key.lstrip("-").split("=")[0] in TAKEN or key.startswith("-"):
            one.refuse(f"be an option of `qstar fit` without dashes, and none of {', '.join(TAKEN)}")
    return found


def _word(one: Located) -> str:
    """Return a value as it is written on a command line."""
    value = one.value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def _budget(budget: Located) -> Budget:
    found = budget.fields(*UNITS)
    if len(found) != 1:
        budget.refuse(f"have one of {', '.join(UNITS)}")
    unit: Unit
    for unit in UNITS:
        if unit in found:
            break
    return Budget(unit, found[unit].integer(1))


def _seeds(seeds: Located) -> tuple[int, ...]:
    if not seeds.is_list:
        return tuple(range(seeds.integer(1)))
    found = tuple(one.integer(0) for one in seeds.items())
    if not found or len(set(found)) < len(found):
        seeds.refuse("be different seeds, at least one")
    return found


def _tune(tune: Located | None, cells: Sequence[Cell], seeds: Sequence[int]) -> Tune | None:
    if tune is None:
        return None
    found = tune.fields("option", "factors", "seeds", required=("option", "factors", "seeds"))
    factors = tuple(one.number() for one in found["factors"].items())
    if 1 not in factors or len(set(factors)) < max(2, len(factors)):
        found["factors"].refuse("be different factors, 1 (the cell's own value) among them, at least two")
    own = _seeds(found["seeds"])
    if any(cell.after is not None for cell in cells):
        tune.refuse(f"stand where no method is {AFTER} another, whose sweep would be another's too")
    if both := sorted(set(own) & set(seeds)):
        found["seeds"].refuse(f"be other seeds than the experiment's, got {both[0]} in both")
    for cell in cells:
        if TUNED in cell.factors or any(one.name == f"{cell.name}-{TUNED}" for one in cells):
            tune.refuse(f"stand where no axis or level is called {TUNED}")
    return Tune(found["option"].text(), factors, own, f"{tune.file}:{tune.line}")


def _evaluation(evaluation: Located | None) -> tuple[Evaluation, dict[str, Located]]:
    if evaluation is None:
        return Evaluation(), {}
    found = evaluation.fields("score", "metrics", "options")
    score = found["score"].text() if "score" in found else Evaluation.score
    metrics = tuple(one.text() for one in found["metrics"].items()) if "metrics" in found else ()
    return Evaluation(score, metrics), _options(found.get("options"))


def _report(report: Located | None, cells: Sequence[str]) -> Report:
    if report is None:
        return Report()
    found = report.fields("baseline", "comparisons")
    pairs = []
    for pair in found["comparisons"].items() if "comparisons" in found else []:
        named = [_cell(one, cells) for one in pair.items()]
        if len(named) != 2:
            pair.refuse("be pairs of cells, [one, other]")
        pairs.append((named[0], named[1]))
    return Report(_cell(found["baseline"], cells) if "baseline" in found else None, tuple(pairs))


def _cell(one: Located, cells: Sequence[str]) -> str:
    name = one.text()
    if name not in cells:
        one.refuse(f"name a cell ({', '.join(cells)}), got {name}")
    return name

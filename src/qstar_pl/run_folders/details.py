"""One run in full, as lines of text."""

from __future__ import annotations

import math
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError
from qstar_pl.locks import last_holder
from qstar_pl.run_folders.defaults import defaults_of, differing, shown
from qstar_pl.run_folders.metrics import Metrics, read_metrics
from qstar_pl.run_folders.places import CHECKPOINTS, LOCK, METRICS, RUNS
from qstar_pl.run_folders.record import Record
from qstar_pl.run_folders.saved import Saved, saved_in
from qstar_pl.run_folders.settings import read_config
from qstar_pl.run_folders.table import ABSENT, GAP, number, span, steps
from qstar_pl.secrets import without_secrets

TRAINER = "lightning.pytorch.Trainer"
_PLACES = ("logger", "callbacks", "default_root_dir")
"""Options of the trainer that say where, not what."""
_HIGHEST = re.compile(r"reward|accuracy|margin")
_LOWEST = re.compile(r"loss|perplexity")
_NEITHER = re.compile(r"std|rejected")
"""Metrics of which a high, or a low, value is good, and those of them of which neither is; of others none is best."""
_UNITS = ("B", "kB", "MB", "GB", "TB")
_USUAL = ("reward/gold", "reward/proxy", "loss/total", "loss/accuracy", "alpha/mean", "ess/ratio", "lr")
"""Shown beside validation's, which are all shown."""


def details(
    run: Record, wanted: Sequence[str] = (), usual: Mapping[str, Any] = {}, now: float | None = None
) -> list[str]:
    """Return what a run's folder holds, and how to go on from it.

    Args:
        run: the run.
        wanted: metrics to show; empty: those of validation and a few others.
        usual: options of the trainer that every run gets, beside Lightning's own defaults.
        now: in seconds since 1970; None: the clock's.

    """
    now = time.time() if now is None else now
    saved = saved_in(run.folder)
    lines = [f"{run.name}: {run.state}, step {steps(run)}", f"  folder:   {run.folder}"]
    lines.append(f"  started:  {_date(run.started)} (the last time), last written {span(now - run.active)} ago")
    if (left := last_holder(run.folder / LOCK)) is not None:
        lines.append(f"  lock:     {left[0]}{'' if left[1] else ', which has ended'}, since {left[0].since}")
    try:
        config = read_config(run.folder)
    except UserError as error:
        return [*lines, f"notice: {error}", *_saved_lines(saved), *_metric_lines(run, wanted)]
    lines += ["", "configuration, where it differs from the defaults:"]
    lines += map(without_secrets, _differences(config, usual))
    return [*lines, *_saved_lines(saved), *_metric_lines(run, wanted), *_onward(run, config, saved)]


def _differences(config: Mapping[str, Any], usual: Mapping[str, Any]) -> Iterator[str]:
    for part in ("model", "data"):
        spec = config.get(part)
        if not isinstance(spec, Mapping):
            continue
        yield f"  {part}: {str(spec.get('class_path', '?')).rpartition('.')[2]}"
        # What stands at its default is often null; beside an unknown default null says nothing.
        yield from (f"    {key}: {shown(value)}" for key, value in differing(spec).items() if value is not None)
    trainer = config.get("trainer")
    if isinstance(trainer, Mapping):
        defaults = {**defaults_of(TRAINER), **usual}
        given = {key: value for key, value in trainer.items() if value is not None and value != defaults.get(key)}
        yield "  trainer:"
        yield from (f"    {key}: {shown(value)}" for key, value in given.items() if key not in _PLACES)
    yield f"  seed_everything: {shown(config.get('seed_everything'))}"


def _saved_lines(saved: Sequence[Saved]) -> list[str]:
    if not saved:
        return ["", "checkpoints: none"]
    width = max(len(one.path.name) for one in saved)
    rows = [f"  {one.path.name:<{width}}{GAP}step {_or_absent(one.step):>7}{GAP}{_size(one.size)}" for one in saved]
    return ["", "checkpoints:", *rows]


def _metric_lines(run: Record, wanted: Sequence[str]) -> list[str]:
    if not (run.folder / METRICS).exists():
        return ["", "metrics: none yet"]
    try:
        metrics = read_metrics(run.folder / METRICS)
    except UserError as error:
        return ["", f"notice: {error}"]
    last = metrics.last()
    keys = list(wanted) or [key for key in last if key.startswith("val/") or key in _USUAL]
    if not keys:
        return ["", "metrics: none yet"]
    rows = [(f"  {key}", number(last.get(key)), *_best(metrics, key)) for key in keys]
    rows.insert(0, ("metrics", "last", "best", "at step"))
    width = max(len(row[0]) for row in rows)
    return ["", *(f"{key:<{width}}{late:>10}{best:>10}{step:>9}".rstrip() for key, late, best, step in rows)]


def _best(metrics: Metrics, key: str) -> tuple[str, str]:
    """Return the best value of a metric and its step; nothing where neither high nor low is good."""
    choose = max if _HIGHEST.search(key) else min if _LOWEST.search(key) else None
    choose = None if _NEITHER.search(key) else choose
    rows = [row for row in metrics.rows if math.isfinite(row.get(key, math.nan))]
    if choose is None or not rows:
        return "", ""
    best = choose(rows, key=lambda row: row[key])
    return number(best[key]), f"{best['step']:.0f}" if "step" in best else ABSENT


def _onward(run: Record, config: Mapping[str, Any], saved: Sequence[Saved]) -> list[str]:
    if not saved or run.state == "measured":
        return []
    newest = next((one for one in saved if one.path.name == "last.ckpt"), saved[0])
    path = shlex.quote(str(newest.path))
    lines = ["", "what next:"]
    if run.state != "running":
        lines.append(f"  go on:    {shlex.join(['qstar', 'fit', *_where(run, config, newest), *_longer(run, newest)])}")
    lines.append(f"  validate: qstar validate --ckpt_path {path}")
    lines.append(f"  export:   qstar export --ckpt_path {path} --output {shlex.quote(str(run.folder / 'exported'))}")
    return lines


def _where(run: Record, config: Mapping[str, Any], newest: Saved) -> list[str]:
    """Return the options by which `fit` goes on in the run's own folder, if no other run of its name is in the way."""
    trainer = config.get("trainer")
    root = (trainer.get("default_root_dir") if isinstance(trainer, Mapping) else None) or ""
    name = run.settings.name or ""
    alone = not any(one.parent != run.folder for one in run.folder.parent.glob(f"*/{CHECKPOINTS}"))
    if not (root and name and alone and Path(root, name).resolve() == run.folder.parent.resolve()):
        return ["--ckpt_path", str(newest.path)]
    elsewhere = [] if root == RUNS else ["--trainer.default_root_dir", root]
    return [*elsewhere, "--name", name, "--ckpt_path", "last"]


def _longer(run: Record, newest: Saved) -> list[str]:
    """Return the option that makes a finished run twice as long."""
    step = newest.step or run.step
    return ["--trainer.max_steps", str(2 * step)] if run.state == "finished" and step else []


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def _or_absent(step: int | None) -> str:
    return ABSENT if step is None else str(step)


def _size(count: int) -> str:
    power = min(len(str(count)) - 1, 12) // 3
    value = count / 1000**power
    # 999.6 is 1000, which three digits would write as 1e+03.
    return f"{value:.0f} {_UNITS[power]}" if value >= 100 else f"{value:.3g} {_UNITS[power]}"

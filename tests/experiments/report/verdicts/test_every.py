"""Verdicts of folders made by hand: every status is reached by numbers, none by a name."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_folder import OFF_POLICY, PPO, Q_STAR, MadeCell, results_folder
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from qstar_pl.experiments.report.reading import Results, read_results
from qstar_pl.experiments.report.verdicts.every import checks, criteria, hypotheses, verdict_table

MAIN = {"a": PPO, "b": OFF_POLICY, "c": Q_STAR}
FIXED = MadeCell({**Q_STAR.classes, "alpha": "FixedAlpha"}, {"method": "q_star", "alpha": "x"}, gain=0.25)
NOISY = {"grad/variance": 2.0, "grad/noise_scale": 400.0}
ALPHA = {"half": FIXED, "third": FIXED, "kl": replace(Q_STAR, factors={"method": "q_star", "alpha": "kl"})}


def made(folder: Path, cells: Mapping[str, MadeCell], name: str, seeds: int = 3) -> Results:
    return read_results(results_folder(folder / name, cells, range(seeds), name=name))


def statuses(several: list[Results]) -> dict[str, str]:
    return {one.name: one.status for one in (*hypotheses(several), *criteria(several), *checks(several))}


def test_of_one_experiment_what_it_measures(tmp_path: Path) -> None:
    assert statuses([made(tmp_path, MAIN, "main")]) == {
        "H1": "supported",
        "H2": "undecided",  # 60 windows, all within, do not make 95% sure
        "H3": "supported",
        "H4": "not measured",
        "H5": "not measured",
        "criterion 1": "undecided",
        "criterion 2": "supported",
        "criterion 3": "supported",
        "criterion 4": "supported",
        "criterion 5": "undecided",
        "check 1": "supported",
        "check 2": "supported",
        "check 3": "supported",
    }


def test_where_q_star_loses_it_is_said(tmp_path: Path) -> None:
    worse = replace(Q_STAR, gain=0.05, constant={**NOISY, "ess/ratio": 1.6}, step_s=2.0)
    found = statuses([made(tmp_path, {**MAIN, "c": worse}, "main")])
    assert set(found.values()) == {"not supported", "not measured"}
    assert [name for name, status in found.items() if status == "not measured"] == ["H4", "H5"]


def test_a_baseline_that_stands_still_for_long_is_not_beaten_by_another_that_does(tmp_path: Path) -> None:
    """Both reach their final score after 40 of 100 steps."""
    results = made(tmp_path, {"ppo": PPO, "q": replace(Q_STAR, gain=0.2)}, "mvp")
    curves = dict(results.curves)
    for (cell, seed, key), columns in curves.items():
        if key == results.score:
            values = 0.4 + 0.2 * np.minimum(columns["step"] / 40, 1) + 1e-3 * (columns["step"] == 40) + 1e-4 * seed
            curves[cell, seed, key] = {**columns, "value": values}
    (found,) = [one for one in checks([replace(results, curves=curves)]) if one.name == "check 2"]
    (part,) = found.evidence
    assert part.value is not None
    assert part.value > 2
    assert found.status != "supported"
    assert "ppo's own: 2." in part.what


def test_a_large_loss_is_not_blamed_for_its_variance_nor_a_small_one_praised(tmp_path: Path) -> None:
    loud = replace(Q_STAR, constant={**Q_STAR.constant, "grad/variance": 400.0})
    (found,) = [one for one in criteria([made(tmp_path, {"ppo": PPO, "q": loud}, "mvp")]) if one.name == "criterion 4"]
    relative, plain = found.evidence
    assert found.status == relative.status == "supported"
    assert (plain.is_judged, plain.status) == (False, "not supported")
    assert found.p_value == relative.p_value


def test_runs_whose_noise_hides_the_signal_leave_it_undecided(tmp_path: Path) -> None:
    results = made(tmp_path, {"ppo": PPO, "q": Q_STAR}, "mvp")
    hidden = {key: value for key, value in results.curves.items() if key != ("q", 0, "grad/noise_scale")}
    found = [one for one in criteria([replace(results, curves=hidden)]) if one.name == "criterion 4"]
    assert found[0].status == "undecided"
    assert "in 1 of 3 seeds noise hides the signal" in found[0].number
    none = {key: value for key, value in results.curves.items() if key[2] != "grad/variance"}
    found = [one for one in criteria([replace(results, curves=none)]) if one.name == "criterion 4"]
    assert (found[0].status, found[0].missing.endswith("(it needs two micro-steps)")) == ("not measured", True)


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    assert set(statuses([made(tmp_path, MAIN, "main", seeds=1)]).values()) == {"undecided", "not measured"}


def test_without_off_policy_h1_is_not_measured_and_shows_what_is_known(tmp_path: Path) -> None:
    (h1, *_) = hypotheses([made(tmp_path, {"ppo": PPO, "q": Q_STAR}, "mvp")])
    assert (h1.status, h1.reads) == ("not measured", ("mvp",))
    assert h1.number.startswith("q − ppo, val/reward_gold: 0.100 (")
    assert "q* − off-policy, val/reward_gold: no such cell" in h1.number


def test_each_reads_the_experiment_that_is_meant_for_it(tmp_path: Path) -> None:
    both = {"ppo": PPO, "q": Q_STAR}
    conditions = {
        f"{cell}-{noise}": replace(one, factors={"method": cell, "noise": noise}, gain=gain)
        for noise, gains in (("none", (0.2, 0.3)), ("much", (0.2, 0.2)))
        for (cell, one), gain in zip(both.items(), gains, strict=True)
    }
    several = [
        made(tmp_path, cells, name)
        for name, cells in (
            ("alpha", ALPHA),
            ("long_run", both),
            ("main", MAIN),
            ("map", conditions),
            ("mvp", both),
        )
    ]
    found = {one.name: one for one in (*hypotheses(several), *criteria(several), *checks(several))}
    assert {name: one.reads for name, one in found.items()} == {
        **dict.fromkeys(("H1", "H2", "H3"), ("main",)),
        "H4": ("alpha",),
        "H5": ("map", "long_run"),
        **{f"criterion {number}": ("main",) for number in range(1, 6)},
        **{f"check {number}": ("mvp",) for number in range(1, 4)},
    }
    assert found["H4"].status == "supported"
    h5 = found["H5"]
    assert [part.what.partition(":")[0] for part in h5.evidence] == ["map, noise none", "map, noise much", "long_run"]
    assert [part.status for part in h5.evidence] == ["supported", "undecided", "supported"]
    assert h5.status == "undecided"
    (half,) = [one for one in hypotheses(several[3:4]) if one.name == "H5"]
    assert (half.status, half.reads) == ("not measured", ("map",))
    assert half.missing == "long_run: q* − on-policy: no such cell"


def test_p_values_are_corrected_over_what_is_asked_and_the_worst_part_counts(tmp_path: Path) -> None:
    several = [made(tmp_path, MAIN, "main")]
    for found in (hypotheses(several), criteria(several)):
        tested = [one for one in found if one.p_value is not None]
        wanted = multipletests([one.p_value for one in tested], method="holm")[1]
        assert [one.holm for one in tested] == pytest.approx(list(wanted))
        assert len(tested) == 1 or any(one.holm != one.p_value for one in tested)
    h1 = hypotheses(several)[0]
    parts = [part.p_value for part in h1.evidence if part.p_value is not None]
    assert len(parts) == 2
    assert parts[0] != parts[1]
    assert h1.p_value == max(parts)


def test_a_win_over_one_fixed_alpha_is_none_over_every(tmp_path: Path) -> None:
    one = {name: cell for name, cell in ALPHA.items() if name != "third"}
    (h4,) = [found for found in hypotheses([made(tmp_path, one, "alpha")]) if found.name == "H4"]
    assert h4.status == "not measured"
    assert "q* − a second fixed α, val/reward_gold: no such cell" in h4.number


def test_shared_and_tuned_settings_have_a_verdict_each(tmp_path: Path) -> None:
    cells = {
        f"{name}-{level}": replace(one, factors={"method": name, "tuned": level}, gain=one.gain + more)
        for level, more in (("shared", 0.0), ("tuned", 0.1))
        for name, one in {"ppo": PPO, "off": OFF_POLICY, "q": Q_STAR}.items()
    }
    found = [one for one in hypotheses([made(tmp_path, cells, "main")]) if one.name == "H1"]
    assert [(one.group, one.status) for one in found] == [
        ("shared settings", "supported"),
        ("tuned settings", "supported"),
    ]


def test_verdicts_on_the_same_runs_are_one_test(tmp_path: Path) -> None:
    cells = {
        f"{name}-{level}": replace(one, factors={"method": name, "tuned": level})
        for level in ("shared", "tuned")
        for name, one in {"ppo": PPO, "off": OFF_POLICY, "q": Q_STAR}.items()
    }
    results = made(tmp_path, cells, "main")
    shared = {(run.cell, run.seed): run.after for run in results.runs}
    runs = tuple(replace(run, after=shared[run.cell.replace("tuned", "shared"), run.seed]) for run in results.runs)
    found = [one for one in hypotheses([replace(results, runs=runs)]) if one.p_value is not None]
    first, again = (one for one in found if one.name == "H1")
    assert first.p_value == again.p_value
    tests = list({(one.name, one.p_value): one.p_value for one in found}.items())
    assert len(tests) < len(found)
    corrected = multipletests([p_value for _, p_value in tests], method="holm")[1]
    place = [name for (name, _), _ in tests].index("H1")
    assert first.holm == again.holm == pytest.approx(corrected[place])


def test_verdicts_on_other_runs_are_tests_of_their_own_though_none_speaks_for_the_claim(tmp_path: Path) -> None:
    cells = {
        f"{name}-{level}": replace(one, factors={"method": name, "tuned": level})
        for level in ("shared", "tuned")
        for name, one in {"ppo": PPO, "off": OFF_POLICY, "q": replace(Q_STAR, gain=0.15)}.items()
    }
    found = [one for one in hypotheses([made(tmp_path, cells, "main")]) if one.p_value is not None]
    assert [one.p_value for one in found if one.name == "H1"] == [1, 1]
    corrected = multipletests([one.p_value for one in found], method="holm")[1]
    assert [one.holm for one in found] == pytest.approx(list(corrected))


def test_verdicts_in_a_table(tmp_path: Path) -> None:
    several = [made(tmp_path, MAIN, "main")]
    table = verdict_table("Hypotheses", hypotheses(several))
    assert table.rows[0][:3] == (
        "H1",
        "q* learns more per sample than on-policy PPO and than off-policy",
        "supported",
    )
    assert all(len(row) == len(table.heads) for row in table.rows)
    alone = replace(hypotheses(several)[0], holm=0.2)
    assert alone.said == "supported (alone; not after Holm)"


@pytest.mark.parametrize("several", [[]], ids=["none"])
def test_without_an_experiment_nothing_is_measured(several: list[Results]) -> None:
    assert set(statuses(several).values()) == {"not measured"}

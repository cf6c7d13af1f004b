"""Diagnostics of a rollout against sums over the vocabulary, done slowly in float64."""

import json
import math

import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch

from qstar_pl.callbacks import ESSDiagnostic
from qstar_pl.generation.analyze_reading import read_diagnostics
from qstar_pl.generation.analyze_statistics import ess_ratio
from qstar_pl.qstar import FixedAlpha
from qstar_pl.rollout.diagnostics import ess_ratios, row_diagnostics, token_diagnostics
from qstar_pl.rollout.row_numbers import ROW_NUMBERS
from qstar_pl.rollout.streams import row_seed
from qstar_pl.samplers import GeometricSampler, PolicySampler

VOCAB, ALPHA = 7, 0.3


def tables():
    generator = torch.Generator().manual_seed(0)
    return [1.5 * torch.randn(VOCAB, VOCAB, generator=generator, dtype=torch.float64) for _ in range(2)]


def draw(samples=2, alpha=ALPHA, **options):
    policy, target = (TableModel(table, eos=(1,)) for table in tables())
    prompts = prompt_batch([[2, 3], [4], [5, 6]])
    sampler = GeometricSampler(alpha=FixedAlpha(alpha), max_new_tokens=6, **options)
    return sampler.draw(prompts, policy, target, samples=samples, seed=5)


def slow_token(last: int, token: int) -> dict[str, float]:
    """All that is said of one token, summed over the vocabulary in Python."""
    p, t = (torch.softmax(table[last], -1).tolist() for table in tables())
    mixed = [a**ALPHA * b ** (1 - ALPHA) for a, b in zip(p, t, strict=True)]
    z = sum(mixed)
    q = [m / z for m in mixed]
    ess_theta = 1 / sum(a * a / c for a, c in zip(p, q, strict=True))
    ess_t = 1 / sum(b * b / c for b, c in zip(t, q, strict=True))
    return {
        "alpha": ALPHA,
        "ess_theta": ess_theta,
        "ess_t": ess_t,
        "ess_ratio": ess_theta / ess_t,
        "kl_theta": sum(c * math.log(c / a) for a, c in zip(p, q, strict=True)),
        "kl_t": sum(c * math.log(c / b) for b, c in zip(t, q, strict=True)),
        "acceptance": min(1.0, p[token] / q[token]),
        "log_z": math.log(z),
        "logprob_q": math.log(q[token]),
        "logprob_theta": math.log(p[token]),
        "logprob_t": math.log(t[token]),
        "uncovered_mass": 0.0,
    }


def slow_rows(rollout):
    for row, mask in enumerate(rollout.completion_mask):
        prompt = int(rollout.prompt_index[row])
        last = int(rollout.prompts.prompt_ids[prompt, -1])
        tokens = []
        for token in rollout.completion_ids[row][mask].tolist():
            tokens.append(slow_token(last, token))
            last = token
        yield tokens


def test_rows_are_means_and_sums_over_their_tokens():
    rollout = draw()
    rows = row_diagnostics(rollout, samples=2, target=True, constants={"model_theta": "x"})
    assert len({row["tokens"] for row in rows}) > 1, "answers of different length, or pads are not tested"
    for number, (row, tokens) in enumerate(zip(rows, slow_rows(rollout), strict=True)):
        assert row["tokens"] == len(tokens)
        for name in ROW_NUMBERS:
            if name == "ess_ratio":
                sums = (sum(token[size] for token in tokens) for size in ("ess_theta", "ess_t"))
                assert row[name] == pytest.approx(next(sums) / next(sums), rel=1e-5)
                continue
            column, _, kind = name.rpartition("_")
            if column == "kl_gap":
                values = [abs(token["kl_theta"] - token["kl_t"]) for token in tokens]
            else:
                values = [token[column] for token in tokens]
            mean = sum(values) / len(values)
            wanted = {
                "mean": mean,
                "sum": sum(values),
                "std": math.sqrt(sum((value - mean) ** 2 for value in values) / len(values)),
            }[kind]
            assert row[name] == pytest.approx(wanted, rel=1e-5, abs=1e-7), name
        assert row["answer_idx"] == number % 2
        assert row["key"] == 100 + number // 2
        assert row["seed"] == row_seed(5, row["key"], row["answer_idx"])
        assert row["ended"] == (rollout.completion_ids[number][rollout.completion_mask[number]][-1] == 1)
        assert row["model_theta"] == "x"


def test_gaps_of_either_sign_do_not_cancel_along_an_answer():
    rollout = draw(samples=4, alpha=0.5)
    rows = row_diagnostics(rollout, samples=4, target=True, constants={})
    cancelled = 0
    for row, mask in enumerate(rollout.completion_mask):
        gaps = (rollout.kl_behavior_policy - rollout.kl_behavior_target)[row][mask].tolist()
        cancelled += min(gaps) < -0.01 and max(gaps) > 0.01
        mean = sum(map(abs, gaps)) / len(gaps)
        assert rows[row]["kl_gap_mean"] == pytest.approx(mean, rel=1e-5)
    assert cancelled >= 2


def test_the_ess_ratio_is_trainings(tmp_path):
    """Of one step's tokens, `qstar analyze` says what the training metric says: Σ ESS_θ / Σ ESS_t."""
    rollout = draw(samples=5)
    path = tmp_path / "a.diagnostics.jsonl"
    rows = row_diagnostics(rollout, samples=5, target=True, constants={})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mask = rollout.completion_mask
    sums = {"policy": rollout.ess_policy, "target": rollout.ess_target}
    stats = {name: float(column.double()[mask].sum()) for name, column in sums.items()}
    training = ESSDiagnostic().compute({**stats, "tokens": float(mask.sum())})["ess/ratio"]
    assert ess_ratio(read_diagnostics(path, "a")).value == pytest.approx(training, rel=1e-5)
    of_ratios = sum(row["ess_ratio_mean"] for row in rows) / len(rows)
    assert abs(of_ratios - training) > 0.005, "the two definitions must differ here, or nothing is tested"


def test_tokens_are_listed_one_by_one():
    rollout = draw()
    for row, tokens in zip(token_diagnostics(rollout, target=True), slow_rows(rollout), strict=True):
        assert set(row) == {"token_id", *slow_token(2, 2)}
        for name in tokens[0]:
            assert row[name] == pytest.approx([token[name] for token in tokens], rel=1e-6, abs=1e-7), name


def test_acceptance_is_unbiased():
    """Its mean over many draws of one token is Σ_y min(π_θ(y), q(y)), within five standard errors."""
    policy, target = (TableModel(table) for table in tables())
    sampler = GeometricSampler(alpha=FixedAlpha(ALPHA), max_new_tokens=1)
    rollout = sampler.draw(prompt_batch([[3]]), policy, target, samples=4000, seed=1)
    values = torch.tensor(
        [row["acceptance_mean"] for row in row_diagnostics(rollout, samples=4000, target=True, constants={})]
    )
    p, t = (torch.softmax(table[3], -1) for table in tables())
    q = p**ALPHA * t ** (1 - ALPHA)
    q /= q.sum()
    exact = float(torch.minimum(p, q).sum())
    assert abs(float(values.mean()) - exact) < 5 * float(values.std()) / math.sqrt(4000)
    assert 0.5 < exact < 0.99


def test_truncation_leaves_no_ratio_rather_than_a_wrong_one():
    rollout = draw(top_k=2)
    assert bool(ess_ratios(rollout)[rollout.completion_mask].isnan().all())
    assert bool((ess_ratios(rollout)[~rollout.completion_mask] == 0).all())
    for row in row_diagnostics(rollout, samples=2, target=True, constants={}):
        assert row["ess_ratio_mean"] is None
        assert row["ess_ratio"] is None
        assert row["ess_theta_mean"] == 0.0
        assert row["uncovered_mass_mean"] > 0


def test_without_a_target_nothing_is_compared_with_it():
    policy = TableModel(tables()[0], eos=(1,))
    rollout = PolicySampler(max_new_tokens=6).draw(prompt_batch([[2], [3]]), policy, policy, samples=1, seed=0)
    assert policy.passes == 0, "no second forward pass for diagnostics"
    for row in row_diagnostics(rollout, samples=1, target=False, constants={}):
        absent = {name for name in ROW_NUMBERS if row[name] is None}
        assert absent == {
            name for name in ROW_NUMBERS if not name.startswith(("ess_theta", "kl_theta", "acc", "unc"))
        } - {
            "logprob_q_sum",
            "logprob_theta_sum",
        }
        assert row["acceptance_mean"] == 1.0
        assert row["kl_theta_mean"] == 0.0
    assert "alpha" not in token_diagnostics(rollout, target=False)[0]

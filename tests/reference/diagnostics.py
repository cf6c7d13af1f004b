"""The logged metrics, from their definitions, on all answers at once: float64 numpy, loops, no logarithms of sums."""

from typing import Any

import numpy as np
import torch

from qstar_pl.qstar.pareto import pareto_smooth


def tokens(rows: dict[str, Any], name: str) -> np.ndarray:
    """Values at the counted tokens, one after the other."""
    return np.concatenate([v[m] for v, m in zip(np.asarray(rows[name], np.float64), rows["mask"], strict=True)])


def weight_set(w: np.ndarray, prefix: str) -> dict[str, float]:
    ess = w.sum() ** 2 / (len(w) * (w**2).sum())
    return {
        f"{prefix}/mean": w.mean(),
        f"{prefix}/max": w.max(),
        f"{prefix}/min": w.min(),
        f"{prefix}/cv": w.std() / w.mean(),
        f"{prefix}/ess_fraction": ess,
    }


def log_mean_exp(values: list[float]) -> float:
    return float(np.log(np.mean(np.exp(values))))


def gap_metrics(rows: dict[str, Any]) -> dict[str, float]:
    """The gap to the mixture of whole answers, prompt by prompt; {} if no prompt has two answers."""
    p, t, q, a = (np.asarray(rows[name], np.float64) for name in ("policy", "target", "behavior", "alpha"))
    by_prompt: dict[int, list[float]] = {}
    for i, mask in enumerate(rows["mask"]):
        density = (a[i] * p[i] + (1 - a[i]) * t[i] - q[i])[mask].sum()
        by_prompt.setdefault(int(rows["prompt"][i]), []).append(float(density))
    plug_in, jackknife = [], []
    for s in by_prompt.values():
        if (n := len(s)) < 2:
            continue
        whole = log_mean_exp(s)
        without = [log_mean_exp(s[:i] + s[i + 1 :]) for i in range(n)]
        plug_in.append(whole - np.mean(s))
        jackknife.append(n * whole - (n - 1) * np.mean(without) - np.mean(s))
    if not plug_in:
        return {}
    return {"alpha/sequence_gap": np.mean(jackknife), "alpha/sequence_gap_plug_in": np.mean(plug_in)}


def rollout_metrics(rows: dict[str, Any], *, applied_per_answer: bool) -> dict[str, float]:
    """Every metric of the rollout diagnostics, of the answers `rows` (arrays [rows, time] and [rows])."""
    log_w = np.asarray(rows["log_weights"], np.float64)
    mask = rows["mask"]
    w = np.array([np.exp(log_w[i][mask[i]].sum()) for i in range(len(mask))])
    applied = np.array([rows["weights"][i][mask[i]][0] for i in range(len(mask))], np.float64)
    clipped = np.array([rows["clipping"][i][mask[i]][0] for i in range(len(mask))]) if applied_per_answer else None
    clipped = tokens(rows, "clipping") if clipped is None else clipped
    token_w = np.exp(tokens(rows, "log_weights"))
    k3, u_k3 = [], []
    for i in range(len(mask)):
        rho = np.exp(np.asarray(rows["reference"] - rows["policy"], np.float64)[i][mask[i]])
        estimate = rho - 1 - np.log(rho)
        k3.append(estimate.sum())
        u_k3.append(np.exp(log_w[i][mask[i]]) * estimate)
    alpha, log_z = tokens(rows, "alpha"), tokens(rows, "log_z")
    to_policy, to_target = tokens(rows, "kl_policy").mean(), tokens(rows, "kl_target").mean()
    rewards = np.asarray(rows["rewards"], np.float64)
    return {
        "ess/policy": tokens(rows, "ess_policy").mean(),
        "ess/target": tokens(rows, "ess_target").mean(),
        "ess/ratio": tokens(rows, "ess_policy").mean() / tokens(rows, "ess_target").mean(),
        **weight_set(w, "weights"),
        **weight_set(applied if applied_per_answer else tokens(rows, "weights"), "weights_applied"),
        "weights/clipped_fraction": (clipped != 0).mean(),
        "weights/floor_fraction": (clipped < 0).mean(),
        "weights_token/ess_fraction": token_w.sum() ** 2 / (len(token_w) * (token_w**2).sum()),
        **({"weights/pareto_k": k} if np.isfinite(k := pareto_smooth(torch.from_numpy(np.log(w)))[1]) else {}),
        "weights/uncovered_mass": tokens(rows, "uncovered").mean(),
        "alpha/mean": alpha.mean(),
        "alpha/std": alpha.std(),
        "alpha/min": alpha.min(),
        "alpha/max": alpha.max(),
        "alpha/log_z": log_z.mean(),
        "alpha/log_z_sum": log_z.sum() / len(mask),
        **gap_metrics(rows),
        "kl/policy_reference": (w * np.array(k3)).sum() / w.sum(),
        "kl/policy_reference_token": np.concatenate(u_k3).mean(),
        "kl/behavior_policy": to_policy,
        "kl/behavior_target": to_target,
        "kl/gap": abs(to_policy - to_target),
        "reward/mean": rewards.mean(),
        "reward/std": rewards.std(),
        "reward/gold": np.asarray(rows["gold"], np.float64).mean(),
        "completion/length_mean": mask.sum() / len(mask),
        "completion/ended_fraction": rows["ended"].mean(),
    }

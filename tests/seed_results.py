"""What a run under one seed might have given."""

from qstar_pl.experiments.seeds import SeedResult


def result(seed: int, before: float, after: float) -> SeedResult:
    metrics = {"val/reward_proxy": 0.0, "val/kl_policy_reference": 1.0}
    return SeedResult(
        seed,
        {**metrics, "val/reward_gold": before},
        {**metrics, "val/reward_gold": after},
        {key: [(1, 0.4), (2, 0.6)] for key in ("alpha/mean", "ess/ratio", "weights/cv", "reward/gold")},
        3.0,
    )

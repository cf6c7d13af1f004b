from qstar_pl.samplers.speculation.totals import Totals
from qstar_pl.types import Drafting, SamplerInfo

DRAFTING = Drafting((4, 3), (3, 1), 16, {"policy": 4, "target": 2}, {"total": 2.0}, None, 1.5)


def test_nothing_is_said_of_plain_rollouts() -> None:
    totals = Totals()
    totals.add(SamplerInfo(exact=True, seed=0), 4)
    assert totals.line() is None


def test_sums_over_rollouts() -> None:
    totals = Totals()
    totals.add(SamplerInfo(exact=True, seed=0), 4)
    for _ in range(2):
        totals.add(SamplerInfo(exact=True, seed=0, drafted=8, accepted=4, drafting=DRAFTING), 4)
    assert totals.line() == (
        "57% of the drafts accepted; tokens per pass: 1.00 of policy, 2.00 of target; 1.50 times as fast as plain "
        "decoding; 1 of 3 batches were decoded plainly"
    )

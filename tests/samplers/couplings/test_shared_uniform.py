import torch

from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.samplers.couplings import SharedUniform


def test_the_token_is_plain_decodings_and_the_draft_right_where_it_is_the_same() -> None:
    q, p = torch.tensor([[0.2, 0.3, 0.5]]).expand(4, 3), torch.tensor([[0.4, 0.1, 0.5]]).expand(4, 3)
    numbers = {"token": torch.tensor([0.1, 0.3, 0.45, 0.9], dtype=torch.float64)}
    drafts = SharedUniform().propose(p, numbers)
    settled = SharedUniform().settle(q, p, drafts, numbers)
    assert drafts.tolist() == [0, 0, 1, 2]
    assert settled.tokens.tolist() == inverse_cdf(q, numbers["token"]).tolist() == [0, 1, 1, 2]
    assert settled.accepted.tolist() == [True, False, True, True]


def test_an_empty_proposal_is_never_right() -> None:
    q, numbers = torch.tensor([[1.0, 0.0]]), {"token": torch.tensor([0.5], dtype=torch.float64)}
    settled = SharedUniform().settle(q, torch.zeros(1, 2), torch.tensor([0]), numbers)
    assert settled.tokens.tolist() == [0]
    assert not settled.accepted.any()

import pytest
import torch

from qstar_pl.qstar.preferences import AnswerLogprobs, PairLogprobs

MASK = torch.tensor([[True, True, False], [True, True, True]])
PAIRS = PairLogprobs(
    chosen=AnswerLogprobs(
        torch.tensor([[-1.0, -2, 9], [-1, -1, -1]]), torch.tensor([[-2.0, -3, -9], [-1, -1, -1]]), MASK
    ),
    rejected=AnswerLogprobs(
        torch.tensor([[-4.0, -2, 9], [-1, -2, -3]]), torch.tensor([[-1.0, -2, 9], [-1, -2, -3]]), MASK
    ),
)


def test_margins_of_answers_and_per_token_leave_pads_out():
    assert PAIRS.margins().tolist() == [5.0, 0.0]
    assert PAIRS.margins(per_token=True).tolist() == [2.5, 0.0]


@pytest.mark.parametrize("beta", [0.5, torch.tensor([0.5, 2.0])])
def test_quantities(beta):
    found = {key: values.tolist() for key, values in PAIRS.quantities(beta).items()}
    assert found == {
        "rewards/chosen": [1.0, 0.0],
        "rewards/rejected": [-1.5, 0.0],
        "rewards/margins": [2.5, 0.0],
        "rewards/accuracies": [1.0, 0.5],
        "logps/chosen": [-3.0, -3.0],
        "logps/rejected": [-6.0, -6.0],
    }

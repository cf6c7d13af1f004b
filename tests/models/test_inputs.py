import torch
from reference.tiny_models import prompt_batch

from qstar_pl.models.inputs import join, last_position, position_ids


def test_joined_rows_have_the_positions_of_unpadded_ones() -> None:
    prompts = prompt_batch([[5, 6], [7]], pads=1, pad_id=99)
    ids, mask = join(
        prompts,
        torch.tensor([1, 0]),
        torch.tensor([[8, 9], [4, 99]]),
        torch.tensor([[True, True], [True, False]]),
    )
    assert ids.tolist() == [[0, 0, 7, 8, 9], [0, 5, 6, 4, 0]]
    assert position_ids(mask).tolist() == [[0, 0, 0, 1, 2], [0, 0, 1, 2, 2]]
    assert last_position(mask).tolist() == [4, 3]

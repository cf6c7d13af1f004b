import torch
from reference.tiny_models import TableModel, prompt_batch

from qstar_pl.rollout import POLICY, Alone, Truncation, decode
from qstar_pl.rollout.kept import KeptRecorder


def test_what_was_kept_is_recorded_position_by_position() -> None:
    table = torch.randn(7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model, truncation = TableModel(table, eos=(1,)), Truncation(0.8, 4, 0.9)
    options = {"samples": 6, "seed": 2, "max_new_tokens": 5, "truncation": truncation}
    prompts = prompt_batch([[3], [4, 5]])
    rollout = decode(prompts, model, model, Alone(POLICY), kept=KeptRecorder(), **options)
    plain = decode(prompts, model, model, Alone(POLICY), **options)
    assert torch.equal(plain.completion_ids, rollout.completion_ids)
    assert plain.info.kept is None
    kept, mask = rollout.info.kept, rollout.completion_mask
    assert kept is not None
    assert mask.sum(-1).unique().numel() > 1  # answers of several lengths
    assert kept.counts.shape == mask.shape
    assert (kept.counts[~mask] == 0).all()
    before = torch.cat([prompts.prompt_ids[rollout.prompt_index, -1:], rollout.completion_ids[:, :-1]], 1)
    wanted = truncation(table.log_softmax(-1)) > -torch.inf
    assert len(set(wanted.sum(-1).tolist())) > 1
    rows, times = mask.nonzero(as_tuple=True)
    assert torch.equal(kept.mask_at(rows, times, 7), wanted[before[rows, times]])

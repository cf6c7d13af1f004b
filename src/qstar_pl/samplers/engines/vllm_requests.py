"""A job as vLLM's requests, and its answers as what was generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from qstar_pl.errors import UserError
from qstar_pl.rollout.streams import row_seed
from qstar_pl.samplers.engines.engine import Generated, Job
from qstar_pl.types import KeptSets


class Answer(NamedTuple):
    """One answer, as an engine gives it."""

    token_ids: list[int]
    """EOS included."""
    logprobs: list[float]
    """Of its tokens."""
    kept: list[list[int]] | None
    """By token: the ids that had a probability, where something was cut."""


def prompts_of(job: Job) -> list[list[int]]:
    """Return the token ids of every row's prompt, without pads."""
    rows = zip(job.prompts.prompt_ids.tolist(), job.prompts.prompt_mask.tolist(), strict=True)
    texts = [[token for token, counts in zip(ids, mask, strict=True) if counts] for ids, mask in rows]
    return [text for text in texts for _ in range(job.samples)]


def parameters_of(job: Job, *, seeds: bool) -> list[dict[str, Any]]:
    """Return the arguments of `SamplingParams` of every row; with `seeds`, each has its row's own."""
    cut = job.truncation
    common = {
        "max_tokens": job.max_new_tokens,
        "temperature": cut.temperature,
        "top_k": cut.top_k or 0,
        "top_p": 1.0 if cut.top_p is None else cut.top_p,
        # The drawn token's alone; where something is cut, those of all tokens that may be left.
        "logprobs": 0 if not cut.cuts else -1 if cut.top_k is None else cut.top_k,
        # The answer ends with the trainer's EOS, whatever the engine's own configuration says.
        "stop_token_ids": list(job.eos_token_ids),
        "ignore_eos": True,
        "detokenize": False,
    }
    return [
        {**common, "seed": row_seed(job.seed, key, sample)} if seeds else common
        for key in job.prompts.keys.tolist()
        for sample in range(job.samples)
    ]


def answer_of(token_ids: Sequence[int], steps: Sequence[Mapping[int, float]], job: Job) -> Answer:
    """Return an answer from the log-probabilities that were given at each of its tokens, by id.

    Raises:
        UserError: if the engine said nothing of a token: no number is made up for it.

    """
    if len(steps) != len(token_ids) or any(token not in step for token, step in zip(token_ids, steps, strict=False)):
        raise UserError("engine must give the log-probability of every token, got an answer without")
    logprobs = [step[token] for token, step in zip(token_ids, steps, strict=True)]
    kept = [[i for i, value in step.items() if value > -torch.inf] for step in steps] if job.truncation.cuts else None
    return Answer(list(token_ids), logprobs, kept)


def generated_of(answers: Sequence[Answer], job: Job) -> Generated:
    """Return the answers of all rows, padded."""
    device = job.prompts.prompt_ids.device

    def padded(rows: list[Tensor]) -> Tensor:
        return pad_sequence(rows, batch_first=True).to(device)

    token_ids = padded([torch.tensor(one.token_ids) for one in answers])
    lengths = torch.tensor([len(one.token_ids) for one in answers], device=device)
    last = token_ids.gather(1, (lengths - 1).unsqueeze(-1)).squeeze(-1)
    kept = None
    if job.truncation.cuts:
        sets = [one.kept or [] for one in answers]
        flat = [i for row in sets for step in row for i in step]
        counts = padded([torch.tensor([len(step) for step in row]) for row in sets])
        kept = KeptSets(torch.tensor(flat, device=device), counts)
    return Generated(
        token_ids=token_ids,
        mask=torch.arange(token_ids.shape[1], device=device) < lengths.unsqueeze(-1),
        ended_mask=torch.isin(last, torch.tensor(job.eos_token_ids, dtype=torch.int64, device=device)),
        logprobs=padded([torch.tensor(one.logprobs, dtype=torch.float32) for one in answers]),
        kept=kept,
    )

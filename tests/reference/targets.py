"""What targets are by definition, one prefix and one token at a time in float64: no cache, no batch, no padding."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from reference.enumeration import Predict, Probabilities
from transformers import PreTrainedModel

from qstar_pl.models.next_token import NextToken
from qstar_pl.types import PromptBatch


def uniform(vocab: int) -> Predict:
    return lambda prefix: np.full(vocab, 1 / vocab)


def tilted(base: Predict, rewards: Predict, beta: float) -> Predict:
    """π_base · π_r^(1/β), normalized."""

    def predict(prefix: tuple[int, ...]) -> Probabilities:
        terms = [p * r ** (1 / beta) for p, r in zip(base(prefix), rewards(prefix), strict=True)]
        return np.array(terms) / math.fsum(terms)

    return predict


def prefix_reward(network: PreTrainedModel, prompt: list[int]) -> Callable[[tuple[int, ...]], float]:
    """The scalar head at the last token of prompt and prefix."""

    def reward(prefix: tuple[int, ...]) -> float:
        ids = torch.tensor([prompt + list(prefix)])
        with torch.no_grad():
            hidden = network.base_model(ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0, -1]
            return float(network.score.weight[0] @ hidden)

    return reward


def top_k_tilted(base: Predict, reward: Callable[[tuple[int, ...]], float], k: int, beta: float) -> Predict:
    """π_base · exp(A/β) with A = r − V on the k most probable tokens and 0 elsewhere."""

    def predict(prefix: tuple[int, ...]) -> Probabilities:
        probs = base(prefix)
        chosen = sorted(range(len(probs)), key=lambda token: -probs[token])[:k]
        rewards = {token: reward((*prefix, token)) for token in chosen}
        mass = math.fsum(probs[token] for token in chosen)
        value = beta * math.log(math.fsum(probs[t] / mass * math.exp(r / beta) for t, r in rewards.items()))
        tilt = [math.exp((rewards[t] - value) / beta) if t in rewards else 1.0 for t in range(len(probs))]
        return probs * np.array(tilt)

    return predict


def decoded(target: NextToken, prompts: PromptBatch, row: int) -> Predict:
    """The same question asked of a decode session, all rows of which are fed the prefix."""

    def predict(prefix: tuple[int, ...]) -> Probabilities:
        session = target.start(prompts, 2)
        for token in prefix:
            session.advance(torch.full((2 * len(prompts),), token))
        probs: Probabilities = session.logits[2 * row + 1].double().softmax(-1).numpy()
        return probs

    return predict


def teacher_forced(target: NextToken, prompts: PromptBatch, row: int) -> Predict:
    """The same question asked of one pass over the prefix, with an answer of another length beside it."""

    def predict(prefix: tuple[int, ...]) -> Probabilities:
        ids = torch.tensor([[*prefix, 3, 0], [2] * (len(prefix) + 2)])
        mask = torch.tensor([[True] * (len(prefix) + 1) + [False], [True] * (len(prefix) + 2)])
        index = torch.tensor([row, 0])
        logits = target.completion_logits(prompts, index, ids, mask).detach()
        assert logits.shape[:2] == ids.shape
        probs: Probabilities = logits[0, len(prefix)].double().softmax(-1).numpy()
        return probs

    return predict


def prefixes(vocab: int, length: int) -> Iterator[tuple[int, ...]]:
    """Every prefix of fewer than `length` tokens."""
    for size in range(length):
        yield from itertools.product(range(vocab), repeat=size)


def best_of(probs: Sequence[float], rewards: Sequence[float], n: int) -> list[float]:
    """The law of the best of n draws, tuple by tuple; of several draws that are best, each is as likely taken."""
    law = [0.0] * len(probs)
    for draws in itertools.product(range(len(probs)), repeat=n):
        best = [i for i in draws if rewards[i] == max(rewards[j] for j in draws)]
        for i in best:
            law[i] += math.prod(probs[j] for j in draws) / len(best)
    return law

"""What a model does with pads, with what follows a token, and with its cache: its weights are tried out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

from qstar_pl.errors import UserError
from qstar_pl.models.cache import repeat_cache
from qstar_pl.models.freeze import eval_mode
from qstar_pl.models.inputs import position_ids, unpack
from qstar_pl.models.reading import Reader, Reading
from qstar_pl.models.tokenizers import first_line

TOKENS = 8
"""How many different tokens the probe reads."""
TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.05}
"""Largest root mean square difference from a row alone, in units of that row's own spread or size. Of all positions the
median counts: rounding sends single tokens of a mixture of experts to another expert. On an H200 the families of
benchmarks/families.py stay below 0.01 in bfloat16; what is wrong is off by 0.1 to 2."""
REDUCED = 5e-3
"""The same for float32 where its products may take fewer digits (TF32 stays below 4e-4 on those models)."""

Values = Callable[[Tensor, Tensor, Literal["left", "right"]], Tensor]
"""(ids, mask [rows, length], padding) → what the model says [rows, length, …], where the tokens stand."""

_READINGS: WeakKeyDictionary[PreTrainedModel, Reading] = WeakKeyDictionary()


def reading_of(model: PreTrainedModel, token_ids: Callable[[], Sequence[int]]) -> Reading:
    """Return how a language model's batches are read; its weights are tried out on the first call.

    Args:
        model: the language model, where its weights will be used.
        token_ids: returns some ordinary tokens.

    Raises:
        UserError: if it looks at the tokens behind the one it predicts, or no padding keeps rows apart.

    """
    if model not in _READINGS:
        reader = Reader(model)

        def logits(ids: Tensor, mask: Tensor, padding: Literal["left", "right"]) -> Tensor:
            values: Tensor = model(**reader.padded(ids, mask, padding)).logits
            return values if padding == "left" else unpack(values, mask)

        with undisturbed(model):
            rows = sample_rows(model, token_ids())
            _check_causal(model, reader, rows)
            padding = padding_of(model, logits, rows)
            # A shared cache needs all rows to end in its last column, which only pads on the left allow.
            _READINGS[model] = Reading(padding, padding == "left" and _caches(reader, rows))
    return _READINGS[model]


def padding_of(model: PreTrainedModel, values: Values, rows: Sequence[Tensor]) -> Literal["left", "right"]:
    """Return on which side of the tokens pads may stand for `values` to be what each of the `rows` gets alone.

    Raises:
        UserError: if on neither.

    """
    # Without a pad, "right" is the plain call: no mask and no positions.
    alone = [values(row.unsqueeze(0), torch.ones_like(row, dtype=torch.bool).unsqueeze(0), "right")[0] for row in rows]
    ids, mask = _left_padded(rows)

    def agrees(padding: Literal["left", "right"]) -> bool:
        together = values(ids, mask, padding)
        return all(same(own, row[keep]) for own, row, keep in zip(alone, together, mask, strict=True))

    if works(lambda: agrees("left")):
        return "left"
    if works(lambda: agrees("right")):
        return "right"
    raise UserError(f"model must give rows of a batch what it gives them alone, got {model.config.model_type}")


def _check_causal(model: PreTrainedModel, reader: Reader, rows: Sequence[Tensor]) -> None:
    """Raise UserError if other tokens at the end of a sequence change what is said before them."""
    row = rows[-1].unsqueeze(0)
    # The same row with its last two tokens replaced.
    other = torch.cat([row[:, :-2], row[:, :2]], dim=1)
    try:
        said, instead = (model(**reader.inputs(ids, None, None)).logits[0, :-2] for ids in (row, other))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise UserError(
            f"model must read token ids alone, got {model.config.model_type}: {first_line(error)}"
        ) from error
    # Sums over the same shapes round alike, but for experts that are given other tokens: less may differ here.
    if not same(said, instead, strictness=4.0):
        raise UserError(
            f"model must be a causal language model, got {model.config.model_type}, in which what is said of a token "
            "changes with the tokens behind it"
        )


def _caches(reader: Reader, rows: Sequence[Tensor]) -> bool:
    """Return whether prompts can be read once, each be continued twice, and give what whole sequences do."""

    def agrees() -> bool:
        ids, mask = _left_padded([row[:-2] for row in rows])
        positions = mask.long().sum(-1, keepdim=True)
        logits, cache = reader.begin(ids.masked_fill(~mask, 0), mask, position_ids(mask))
        said = [logits.repeat_interleave(2, dim=0)]
        cache = repeat_cache(cache, len(ids), 2)
        mask, positions = mask.repeat_interleave(2, dim=0), positions.repeat_interleave(2, dim=0)
        for place in (-2, -1):
            tokens = torch.stack([row[place] for row in rows]).repeat_interleave(2).unsqueeze(-1)
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            logits, cache = reader.step(tokens, mask, positions, cache)
            said.append(logits[:, -1])
            positions = positions + 1
        whole = [reader.model(**reader.inputs(row.unsqueeze(0), None, None)).logits[0, -3:] for row in rows]
        return all(same(whole[i // 2], own) for i, own in enumerate(torch.stack(said, dim=1)))

    return works(agrees)


def works(agrees: Callable[[], bool]) -> bool:
    """Return what `agrees` does, and False if it raises."""
    try:
        return agrees()
    except torch.OutOfMemoryError:
        raise
    except Exception:  # models raise what they like at what they cannot do
        return False


def same(expected: Tensor, found: Tensor, strictness: float = 1.0) -> bool:
    """Return whether two results [positions, …] differ by rounding only; see `TOLERANCE`, divided by `strictness`."""
    if expected.shape != found.shape:
        return False
    limit = TOLERANCE.get(found.dtype, 0.05)
    if found.dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        limit = REDUCED
    if expected[0].numel() == 1:
        limit = 3 * limit  # half precision is coarser, measured by the size of rewards
    # A difference that is not a number is never small enough.
    return difference(expected, found) <= limit / strictness


def difference(expected: Tensor, found: Tensor) -> float:
    """Return the median over positions of the root mean square difference, in units of the spread of `expected`.

    Args:
        expected: [positions, …]; of a single number per position its size is the unit: rewards of similar texts are
            nearly equal.
        found: of the same shape.

    """
    expected, found = (values.double().reshape(len(values), -1) for values in (expected, found))
    # What all logits have in common means nothing.
    centered = expected if expected.shape[1] == 1 else expected - expected.mean()
    scale = centered.square().mean().sqrt()
    return float((expected - found).square().mean(-1).sqrt().median() / scale)


def sample_rows(model: PreTrainedModel, token_ids: Sequence[int]) -> list[Tensor]:
    """Return two sequences of different lengths made of `token_ids`, on the model's device."""
    ids = [token_ids[i % len(token_ids)] for i in range(TOKENS)]
    device = model.get_input_embeddings().weight.device
    return [torch.tensor(row, device=device) for row in (ids[5:] + ids[:1], ids)]


def _left_padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows)) + 1  # even the longest row gets a pad
    ids = rows[0].new_zeros(len(rows), longest)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for number, row in enumerate(rows):
        ids[number, longest - len(row) :] = row
        mask[number, longest - len(row) :] = True
    return ids, mask


@contextmanager
def undisturbed(model: PreTrainedModel) -> Iterator[None]:
    """Run the block without gradients, without dropout and without autocast."""
    device = model.get_input_embeddings().weight.device.type
    with torch.no_grad(), eval_mode(model), torch.autocast(device, enabled=False):
        yield

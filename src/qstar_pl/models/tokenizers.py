"""Tokenizers with a pad token of their own, and how many of their ids a model can produce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qstar_pl.errors import UserError
from qstar_pl.models.folder import check_model_folder
from qstar_pl.models.hub import refused
from qstar_pl.models.tiny import belongs_to_package, check_folder, resolve_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

APPENDED_PAD = "<|pad|>"


def load_tokenizer(name: str, *, argument: str = "name", **kwargs: Any) -> PreTrainedTokenizerBase:
    """Load a language model's tokenizer, padding on the left, and see that it has a pad token.

    Args:
        name: what the user gave: hub id, local folder or "tiny".
        argument: the name of the user's option, for error messages.
        **kwargs: for `AutoTokenizer.from_pretrained`.

    Raises:
        UserError: if there is no such tokenizer, or it has no EOS token.

    """
    tokenizer = read_tokenizer(name, argument=argument, **kwargs)
    if tokenizer.eos_token_id is None:
        raise UserError(f"{argument} must lead to a tokenizer with an EOS token, got {name!r} without one")
    tokenizer.padding_side = "left"
    return ensure_pad(tokenizer)


def read_tokenizer(name: str, *, argument: str = "name", **kwargs: Any) -> PreTrainedTokenizerBase:
    """Load any tokenizer as it is, also an encoder's, which has neither to end nor to pad; see `load_tokenizer`.

    Raises:
        UserError: if there is no such tokenizer, or a folder without the files of one.

    """
    from qstar_pl.models.quiet import quiet

    folder = resolve_tokenizer(name)
    check_folder(folder, argument)
    check_model_folder(Path(folder), argument, trusted=kwargs.get("trust_remote_code", False))
    try:
        with quiet():
            # Left open, the question whether to run a tokenizer's own code would be put to the terminal.
            tokenizer: PreTrainedTokenizerBase = _loader(name).from_pretrained(  # nosec B615 - revision is an option
                folder, **{"trust_remote_code": False, **kwargs}
            )
    except Exception as error:  # files that anybody may have written: transformers raises what it meets
        wanted = f"{argument} must lead to a tokenizer, got {name!r}: "
        if "instantiate the backend tokenizer from one of" in str(error):
            raise UserError(f"{wanted}it has no tokenizer files (or they need sentencepiece or tiktoken)") from error
        raise refused(wanted, first_line(error), error) from error
    # A folder with a model but no tokenizer gives an empty one, or one of special tokens alone, instead of an error.
    if len(tokenizer) <= max(1, len(set(tokenizer.all_special_ids))):
        raise UserError(f"{argument} must lead to a tokenizer, got {name!r}, which has no tokenizer files")
    return tokenizer


def _loader(name: str) -> Any:
    """Return the class that loads a tokenizer; for the tiny world's one that does not import torch."""
    if belongs_to_package(name):
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast
    from transformers import AutoTokenizer

    return AutoTokenizer


def ensure_pad(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Give the tokenizer a pad token that is not EOS, if it has none; returns the same tokenizer.

    Taken in this order: another special token that is named for padding ("<|padding|>" of GPT-NeoX), the unknown
    token if it is neither EOS nor BOS, or else "<|pad|>" appended as the last id. An appended pad is no token of the
    model (see `vocabulary_size`); masks keep it from ever being embedded, sampled or scored.
    """
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id != tokenizer.eos_token_id:
        return tokenizer
    named = [
        str(token)
        for token in [*tokenizer.all_special_tokens, *map(str, tokenizer.added_tokens_decoder.values())]
        if "pad" in str(token).lower() and token != tokenizer.eos_token
    ]
    if named:
        tokenizer.pad_token = named[0]
    elif tokenizer.unk_token is not None and tokenizer.unk_token not in (tokenizer.eos_token, tokenizer.bos_token):
        tokenizer.pad_token = tokenizer.unk_token
    else:
        tokenizer.add_special_tokens({"pad_token": APPENDED_PAD})
    return tokenizer


def vocabulary_size(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return 1 + the largest id that stands for text or for a control token, an appended pad left out."""
    return max(_known_ids(tokenizer)) + 1


def absent_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the ids below `vocabulary_size` that stand for nothing, ascending: added tokens may leave a gap."""
    known = _known_ids(tokenizer)
    size = max(known) + 1
    return () if len(known) == size else tuple(sorted(set(range(size)) - known))


def is_appended_pad(tokenizer: PreTrainedTokenizerBase, token_id: int) -> bool:
    """Return whether an id is the pad that `ensure_pad` appended, which is no token of the model."""
    return bool(tokenizer.pad_token == APPENDED_PAD and tokenizer.pad_token_id == token_id == len(tokenizer) - 1)


_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[int, frozenset[int]]] = WeakKeyDictionary()


def _known_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the ids that stand for something; a large vocabulary is listed once, and again if it has grown."""
    size, known = _KNOWN.get(tokenizer, (0, frozenset()))
    if size != len(tokenizer):
        known = frozenset(i for i in tokenizer.get_vocab().values() if not is_appended_pad(tokenizer, i))
        _KNOWN[tokenizer] = len(tokenizer), known
    return known


def vocabulary_difference(policy: PreTrainedTokenizerBase, other: PreTrainedTokenizerBase) -> str | None:
    """Return in words how two vocabularies differ, None if every id means the same in both."""
    sizes = vocabulary_size(policy), vocabulary_size(other)
    if sizes[0] != sizes[1]:
        return f"{sizes[1]} tokens where the policy has {sizes[0]}"
    mine, theirs = ({i: token for token, i in t.get_vocab().items() if i < sizes[0]} for t in (policy, other))
    if mine == theirs:
        return None
    first = min(i for i in mine.keys() | theirs.keys() if mine.get(i) != theirs.get(i))
    return (
        f"{sizes[1]} tokens, as the policy has, but id {first} is {theirs.get(first)!r} where the policy's is "
        f"{mine.get(first)!r}"
    )


def token_permutation(policy: PreTrainedTokenizerBase, other: PreTrainedTokenizerBase) -> list[int] | None:
    """Return the other tokenizer's id of each of the policy's tokens, None unless both have the same token texts.

    Ids that stand for text or control tokens count, as in `vocabulary_size`; each must have one text. What the two make
    of a text (their merges) may differ: ids are translated, never texts.
    """
    size = vocabulary_size(policy)
    if vocabulary_size(other) != size:
        return None
    mine, theirs = ({token: i for token, i in t.get_vocab().items() if i < size} for t in (policy, other))
    # Fewer texts than ids: some id has no token, and no counterpart.
    if len(mine) != size or mine.keys() != theirs.keys():
        return None
    return [theirs[token] for token, _ in sorted(mine.items(), key=lambda item: item[1])]


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message: the rest repeats or advises on other things."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return " ".join(lines) if lines[0].endswith(":") else lines[0]  # a list follows, without which it says nothing

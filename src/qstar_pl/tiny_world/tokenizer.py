"""The tiny world's tokenizer: a byte-level BPE of 640 tokens, trained on the tiny world's own text.

All 256 bytes are tokens, so any text survives encoding and decoding unchanged. `<|pad|>` (0) and `<|end|>` (1, EOS) are
special and distinct.

The chat template renders the HH form. A message is "\\n\\nHuman: {text}" or "\\n\\nAssistant: {text}", with its text
stripped (a system message comes first as "\\n\\nSystem: {text}"). With `add_generation_prompt` the text ends in
"\\n\\nAssistant:", so that an answer begins with a space and its tokens do not depend on the prompt's. EOS follows an
assistant message only if it is the last message and no generation prompt is asked for: there is none inside a history.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from qstar_pl.tiny_world.rows import dialogues, posts, programs

ASSETS = Path(__file__).parent / "assets"
PAD = "<|pad|>"
EOS = "<|end|>"
VOCAB_SIZE = 640
MAX_LENGTH = 256

# A role's head is one piece, so that it can become one token; then words with the space before them, single digits,
# runs of other signs, and white space.
_PIECES = r"\n\n(?:Human|Assistant):| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{ '\\n\\nHuman: ' }}"
    "{%- elif message['role'] == 'assistant' -%}{{ '\\n\\nAssistant: ' }}"
    "{%- elif message['role'] == 'system' and loop.first -%}{{ '\\n\\nSystem: ' }}"
    "{%- else -%}{{ raise_exception('roles must be user, assistant, or system at the start') }}{%- endif -%}"
    "{{ message['content'] | trim }}"
    "{%- if loop.last and message['role'] == 'assistant' and not add_generation_prompt -%}{{ eos_token }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '\\n\\nAssistant:' }}{%- endif -%}"
)


def _corpus() -> Iterator[str]:
    for row in dialogues(6000, seed=0):
        yield row["chosen"]
        yield row["rejected"].removeprefix(row["prompt"])
    for rows in (posts(600, seed=0), programs(600, seed=0)):
        for row in rows:
            yield row["prompt"]
            yield " " + row["chosen"]  # as behind "Assistant:" in the chat template
            yield " " + row["rejected"]


def build_tokenizer(folder: str | Path) -> PreTrainedTokenizerFast:
    """Train the tokenizer, write it to `folder` as Hugging Face files, and return it.

    Deterministic: the corpus is seeded, and BPE breaks ties between equally frequent pairs by token ids.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            # Maps bytes to characters alone: the text is cut already.
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        show_progress=False,
        # All 256 bytes, in the corpus or not; sorted, for their order differs between calls.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[AddedToken(PAD, special=True), AddedToken(EOS, special=True)],
    )
    tokenizer.train_from_iterator(_corpus(), trainer=trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        padding_side="left",
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = _CHAT_TEMPLATE
    # The template inside tokenizer_config.json, not in a file of its own: fewer files to lose.
    fast.save_pretrained(str(folder), save_jinja_files=False)
    return fast

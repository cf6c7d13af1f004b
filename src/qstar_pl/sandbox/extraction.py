"""Finds the program in an answer: the one that parses and defines, or does, what is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qstar_pl.sandbox.continuation import continue_function, continued
from qstar_pl.sandbox.fences import Block, bare_programs, fenced_blocks, unfenced_parts
from qstar_pl.sandbox.shape import Program, parsed

_END_OF_TURN = re.compile(
    r"<\|(?:im_end|endoftext|end_of_text|eot_id|eom_id|end|eot|EOT)\|>|</s>|<eos>|<end_of_turn>|<｜end▁of▁sentence｜>"
)
_THOUGHT = re.compile(r"^.*</think(?:ing)?>", re.DOTALL)


def script_program(answer: str) -> str:
    """Return the program of an answer that is to read standard input and print.

    Of all blocks that parse, the last one that does something with names that it has; those that read input come
    first, blocks whose label says that they are output, shell or another language come last, as do texts without a
    fence. A block that needs names of earlier ones is put behind them.
    """
    answer = _answer_alone(answer)
    programs = _programs(answer)
    bare = [program for part in unfenced_parts(answer) for program in bare_programs(part)]
    sources = [programs, [*_joined(programs)], bare, [*_joined(bare)]]
    for pool in sources:
        ready = [program for program in pool if program.acts and not program.missing]
        if best := [program for program in ready if program.reads_input] or ready:
            return best[-1].text
    acting = [program for pool in sources for program in pool if program.acts]
    return acting[-1].text if acting else _fallback(answer)


def function_program(answer: str, name: str, starter: str = "") -> str:
    """Return the program of an answer that is to define `name`, perhaps as a method of a class.

    An answer that defines it stands on its own (see `_definer`). Anything else continues `starter`, if there is one.
    """
    answer = _answer_alone(answer)
    if starter.strip() and (whole := continued(starter, unfenced_parts(answer)[0])) is not None:
        return whole
    if (whole := _definer(answer, name)) is not None:
        return whole
    text = _fallback(answer)
    return continue_function(starter, text) if starter.strip() else text


def complete_function(prompt: str, answer: str, entry_point: str) -> str:
    """Return the program of an answer to a prompt that ends inside the function `entry_point`.

    An answer that begins with an indented body continues the prompt as it stands. One that defines the function stands
    on its own, below what the prompt has before that function (imports, helpers). Anything else continues the prompt
    as well (see `continue_function`).
    """
    answer = _answer_alone(answer)
    if (whole := continued(prompt, unfenced_parts(answer)[0])) is not None:
        return whole
    if (whole := _definer(answer, entry_point)) is not None:
        return before_function(prompt, entry_point) + "\n" + whole
    return continue_function(prompt, _fallback(answer))


def before_function(prompt: str, entry_point: str) -> str:
    """Return what a prompt has above the function that it asks for."""
    head = re.search(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", prompt, re.MULTILINE)
    return prompt[: head.start()] if head else ""


def _answer_alone(answer: str) -> str:
    """Return an answer without its thoughts, and without what stands behind the end of its turn."""
    text = answer.replace("\r\n", "\n").replace("\r", "\n")
    if end := _END_OF_TURN.search(text):
        text = text[: end.start()]
    spoken = _THOUGHT.sub("", text)
    return spoken if spoken.strip() else text  # where nothing follows the thoughts, the program may stand in them


def _definer(answer: str, name: str) -> str | None:
    """Return the last program that defines `name` with a body: first of the fenced ones, then of the others.

    A stub is taken only where there is nothing else. A program that needs names of earlier ones is put behind them.
    """
    fenced = _programs(answer)
    bare = [program for part in unfenced_parts(answer) for program in bare_programs(part)]
    for programs in (fenced, bare):
        for number in reversed(range(len(programs))):
            if programs[number].defines(name):
                return _behind(programs[:number], programs[number]).text
    stubs = [program for program in (*bare, *fenced) if program.definition(name) is not None]
    return stubs[-1].text if stubs else None


def _programs(answer: str) -> list[Program]:
    """Return the fenced blocks that parse; those whose label speaks against it only if there are no others."""
    blocks = fenced_blocks(answer)
    for chosen in ([one for one in blocks if not one.other], blocks):
        if programs := [program for block in chosen if (program := parsed(block.text)) is not None]:
            return programs
    return []


def _joined(programs: Sequence[Program]) -> Sequence[Program]:
    return [_behind(programs[:number], program) for number, program in enumerate(programs) if program.missing]


def _behind(earlier: Sequence[Program], program: Program) -> Program:
    """Return a program below those earlier ones that define names which it lacks."""
    needed: list[Program] = []
    missing = set(program.missing)
    for other in reversed(earlier):
        if missing & other.bound:
            needed.insert(0, other)
            missing |= other.missing
    if not needed:
        return program
    return parsed("\n\n".join([*(one.text for one in needed), program.text])) or program


def _fallback(answer: str) -> str:
    """Return the last block, or the text before the first fence if that is all there is, or the answer."""
    blocks = fenced_blocks(answer)
    likely: list[Block] = [block for block in blocks if not block.other] or blocks
    if likely:
        return likely[-1].text
    return next((part for part in unfenced_parts(answer) if part.strip()), answer)

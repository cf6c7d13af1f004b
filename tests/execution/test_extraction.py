import pytest

from qstar_pl.execution.extraction import before_function, code_block, complete_function

PROMPT = (
    "from typing import List\n\n\ndef helper(x):\n    return x + 1\n\n\n"
    'def solve(xs: List[int]) -> int:\n    """Sum of xs, each plus 1."""\n'
)
BODY = "    return sum(helper(x) for x in xs)\n"
WHOLE = f"def solve(xs):\n{BODY}"


def works(program):
    space = {}
    exec(program, space)
    return space["solve"]([1, 2]) == 5


@pytest.mark.parametrize(
    "answer",
    [
        BODY,
        BODY.strip(),
        " " + BODY.strip(),
        "\n" + BODY,
        "    total = 0\n    for x in xs:\n        total += helper(x)\n\n    # done\n    return total\n",
        "total = 0\n    for x in xs:\n        total += helper(x)\n    return total",
        BODY + "\n\ndef other():\n    this is no Python",
        BODY + "\nprint(solve([]))\nassert False",
        WHOLE,
        "\n" + WHOLE,
        "import math\n" + WHOLE,
        f"Here it is:\n```python\n{WHOLE}```\nHope that helps!",
        f"```\n{WHOLE}\n```",
        f"```py\n{WHOLE}",
        f"First try:\n```python\ndef solve(xs): return 0\n```\nBetter:\n```python\n{WHOLE}```",
        f"```python\n{WHOLE}```\nTest it:\n```python\nassert False\n```",
        "1. Like this:\n   ```python\n   def solve(xs):\n       return sum(helper(x) for x in xs)\n   ```",
        f"```python\n{BODY}```",
        "@staticmethod\ndef solve(xs):\n    return sum(map(helper, xs))\n",
    ],
)
def test_forms_of_an_answer(answer):
    assert works(complete_function(PROMPT, answer, "solve"))


def test_a_continuation_stands_below_the_whole_prompt():
    assert complete_function(PROMPT, BODY, "solve") == PROMPT + BODY


def test_a_function_of_its_own_stands_below_imports_and_helpers():
    assert before_function(PROMPT, "solve") == PROMPT[: PROMPT.index("def solve")]
    assert complete_function(PROMPT, WHOLE, "solve").count("def solve") == 1
    assert before_function("no such function", "solve") == ""


def test_blocks():
    assert code_block("no code") is None
    assert code_block("```\na\n```\n```\nb\n```") == "b\n"
    assert code_block("```\ndef f(): pass\n```\n```\nb\n```", "f") == "def f(): pass\n"
    assert code_block("inline ``` no block") is None


def test_prose_is_no_program():
    program = complete_function(PROMPT, "I think the answer is to sum them.", "solve")
    with pytest.raises(SyntaxError):
        compile(program, "p", "exec")

"""Forms of answers with a right program in them. Nothing here runs in a sandbox: the programs are these tests' own."""

import io
import sys
import textwrap
import time

import pytest

from qstar_pl.sandbox.extraction import before_function, complete_function, function_program, script_program

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
        # No fence, and words around the code.
        f"Sure! Here is the function:\n\n{WHOLE}\n\nHope this helps.",
        f"The idea: add them up (don't forget the ones).\n\nimport math\n\n{WHOLE}\nDone",
        BODY + "\nThis sums the numbers.",
        # A body that has lost its indentation, or has another one.
        "total = 0\nfor x in xs:\n    total += helper(x)\nreturn total\n",
        "total = sum(xs)\nreturn total + len(xs)\n\nThat is all.",
        "\treturn sum(helper(x) for x in xs)\n",
        "\ttotal = 0\n\tfor x in xs:\n\t\ttotal += helper(x)\n\treturn total",
        "  total = sum(xs)\n  return total + len(xs)",
        "```python\nreturn sum(helper(x) for x in xs)\n```",
        # Helpers below the body, a definition that is no def, the end of a turn.
        "    return each(xs)\n\n\ndef each(xs):\n    return sum(map(helper, xs))\n",
        "    return each(xs) + ONE\n\nONE = 1\n\n@staticmethod\ndef each(xs):\n    return sum(xs) + 1\n\nprint(3)",
        BODY + "\nimport numpy as np\nn = int(input())\n\ndef helper(x):\n    return 0\n\ndef solve(xs):\n    pass\n",
        "    return each(xs)\n\nfrom operator import add as plus\n\ndef each(xs):\n    return plus(sum(xs), 2)\n",
        "```python\nsolve = lambda xs: sum(map(helper, xs))\n```",
        BODY.rstrip() + "<|im_end|>",
        f"```python\n{WHOLE}```</s><s>[INST] Now in C.\n```c\nint solve;\n```",
        # What stands beside the program.
        f"```python\n{WHOLE}```\nIt prints:\n```\n5\n```\n```bash\npython solve.py\n```",
        f"```python\n{WHOLE}```\nTo fill in:\n```python\ndef solve(xs):\n    ...\n```",
        f"```python\n{WHOLE}```\n```python\ndef solve(xs):\n    '''Later.'''\n    raise NotImplementedError\n```",
        f"<think>\n```python\ndef solve(xs): return 1\n```\n</think>\n{WHOLE}",
        f"```python\n{WHOLE}```\nOr, not finished:\n```python\ndef solve(xs):\n    return sum(\n```",
        "```python\ndef each(xs):\n    return [x + 1 for x in xs]\n```\nThen\n"
        "```python\ndef solve(xs):\n    return sum(each(xs))\n```",
        # Fences inside, longer ones, and one glued to the code.
        f'```python\ndef solve(xs):\n    """Add.\n\n    ```\n    solve([1])\n    ```\n    """\n{BODY}```',
        f"~~~ {{.python}}\n{WHOLE}~~~\n",
        f"````python\ndef solve(xs):\n    '''\n```\n2\n```\n'''\n{BODY}````",
        f"Answer: ```Python 3\n{WHOLE.rstrip()}```",
        f"{WHOLE}```\nExplanation",
        f"```python\n{WHOLE}```".replace("\n", "\r\n"),
        f"```python\n{WHOLE}```".replace("    return", "\u00a0\u00a0\u00a0\u00a0return"),
    ],
)
def test_forms_of_a_function(answer):
    assert works(complete_function(PROMPT, answer, "solve"))


def test_a_continuation_stands_below_the_whole_prompt():
    assert complete_function(PROMPT, BODY, "solve") == PROMPT + BODY


def test_a_function_of_its_own_stands_below_imports_and_helpers():
    assert before_function(PROMPT, "solve") == PROMPT[: PROMPT.index("def solve")]
    assert complete_function(PROMPT, WHOLE, "solve").count("def solve") == 1
    assert before_function("no such function", "solve") == ""


@pytest.mark.parametrize(
    ("answer", "starter"),
    [
        ("def solve(xs): return sum(xs) + len(xs)", ""),
        ("    return sum(xs) + len(xs)", "def solve(xs):\n    "),
        ("return sum(xs) + len(xs)", "def solve(xs):\n"),
        ("n = len(xs)\nreturn sum(xs) + n", "def solve(xs):"),
        (f"Here:\n\n{WHOLE.replace('helper(x)', 'x + 1')}\nBye.", "def solve(xs):\n    "),
    ],
)
def test_functions_that_a_starter_may_begin(answer, starter):
    assert works(function_program(answer, "solve", starter))


def test_methods():
    starter = "class Solution:\n    def solve(self, xs):\n        "
    for answer in (
        "        return sum(xs) + 2",
        "return sum(xs) + 2",
        "```python\nclass Solution:\n    def solve(self, xs):\n        return sum(xs) + 2\n```\nUsage:\n"
        "```python\nprint(Solution().solve([]))\n```",
    ):
        space = {}
        exec(function_program(answer, "solve", starter), space)
        assert space["Solution"]().solve([1, 2]) == 5


DOUBLE = "n = int(input())\nprint(2 * n)"
MAIN = "import sys\ndef main():\n    print(2 * int(sys.stdin.read()))\n\nif __name__ == '__main__':\n    main()"


@pytest.mark.parametrize(
    "answer",
    [
        DOUBLE,
        MAIN,
        f"```python\n{MAIN}\n```\nOutput:\n```\nresult = 6\n```",
        f"```python\n{DOUBLE}\n```\nFor 3:\n```\n6\n```\nFor 4:\n```output\n8\n```",
        f"```python\n{DOUBLE}\n```\n```text\nReads n and doubles it.\n```",
        f"```python\n{DOUBLE}\n```\n```bash\npython main.py < in.txt\n```",
        f"```console\n$ python main.py\n```\n```\n{DOUBLE}\n```\n```\n3\n```",
        f"```python\nprint(7)\n```\nNo:\n```python\n{DOUBLE}\n```",
        f"```python\n{DOUBLE}\n```\nFor example this prints 6:\n```python\nprint(6)\n```",
        f"Here is the program:\n\n{DOUBLE}\n",
        f"I'd read it (it's one number) and print.\n\n{MAIN}\n\nThat's it, isn't it?",
        f"{DOUBLE}\n```",
        f"{DOUBLE}\n```\nThe input `n` is doubled.",
        f"~~~python\n{DOUBLE}\n~~~",
        f"Answer: ```python\n{DOUBLE}\n```",
        f"<think>\n```python\nprint(1)\n```\n</think>\n```python\n{DOUBLE}\n```",
        f"- so:\n    ```\n{textwrap.indent(DOUBLE, '    ')}\n    ```",
        "```python\ndef double(n):\n    return 2 * n\n```\nand then\n```python\nprint(double(int(input())))\n```",
        f"```python3\n{DOUBLE}",
        f"[PYTHON]\n{DOUBLE}\n[/PYTHON]",
        f"{DOUBLE}\nNote: simple",
    ],
)
def test_forms_of_a_script(answer, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("3\n"))
    exec(script_program(answer), {"__name__": "__main__"})
    assert capsys.readouterr().out == "6\n"


def test_nothing_to_find():
    assert script_program("no code") == "no code"
    assert script_program("inline ``` no block") == "inline ``` no block"
    assert function_program("", "f") == ""
    program = complete_function(PROMPT, "I think the answer is to sum them.", "solve")
    with pytest.raises(SyntaxError):
        compile(program, "p", "exec")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "x = " + "-" * 50_000 + "1",
        "```\n" * 5000,
        "```x = 1\n```\n" * 2000,
        "``` " * 20_000,
        "def f(:\n" * 3000,
        "x = 1\nbut no\n" * 3000,
        "\0",
        "print(1)\n" * 40_000,
    ],
    ids=lambda text: text[:8],
)
def test_no_text_takes_long(text):
    started = time.process_time()
    assert isinstance(complete_function(PROMPT, text, "solve"), str)
    assert isinstance(script_program(text), str)
    assert time.process_time() - started < 5

import time

import pytest

from qstar_pl.rewards.answers import find_answers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # Boxes: the last whole one, whatever stands in it.
        (r"So $x = \boxed{5}$, no, $\boxed{\frac{1}{2}}$.", [r"\frac{1}{2}"]),
        (r"\boxed{\{1, 2\}}", [r"\{1, 2\}"]),
        (r"\boxed{\boxed{7}}", [r"\boxed{7}"]),
        (r"\boxed 5 and so on", ["5"]),
        (r"\fbox{x}", ["x"]),
        (r"\boxed{3} and \boxed{\frac{1}{2", ["3"]),
        (r"\boxed{} \boxed{2}", ["2"]),
        (r"It is \boxed{2}, which is choice \boxed{\textbf{(C)}}", [r"\textbf{(C)}", "2"]),
        (r"The answer is 4. #### 5 \boxed{6}", ["6"]),
        ("<think>3</think><answer> 4 </answer> or #### 5", ["4"]),
        # Hashes, but not headings.
        ("12 + 60 = 72\n#### 72", ["72"]),
        ("#### 1,080 \nQuestion: what next?\n#### 9", ["1,080"]),
        ("#### Step 1: add 2\n2\n#### Conclusion\nThe answer is 5.", ["5"]),
        # Phrases: the last one, up to its end.
        ("The answer is 3. No: the final answer is 4.", ["4"]),
        ("The answer is 7. Check: 7 + 5 = 12.", ["7"]),
        ("Answer: 72 clips\nNext", ["72 clips"]),
        ("**Answer:** $\\frac{1}{3}$, since it is", [r"\frac{1}{3}", "$\\frac{1}{3}$, since it is"]),
        ("The answer to the question is therefore 1.5 m.", ["1.5 m."]),
        ("the answer is $x$ = 3", ["$x$ = 3"]),
        ("The answer is R. H. Thomson.", ["R", "R. H. Thomson."]),
        ("He answered 5 * 2 = 10 points/answer = 4. So 9", ["He answered 5 * 2 = 10 points/answer = 4. So 9", "9"]),
        # No mark.
        ("72", ["72"]),
        (" James I ", ["James I"]),
        ("So he has 5 + 7 = 12 apples", ["So he has 5 + 7 = 12 apples", "12"]),
        ("word " * 60 + "costs $1,250.50 or -3.", ["-3"]),
        ("word " * 60 + "is 7-3", ["3"]),
        ("word " * 60 + r"gives $5\pi$", [r"5\pi"]),
        ("word " * 60 + "only", []),
        ("", []),
        (r"\boxed{", [r"\boxed{"]),
    ],
)
def test_where_the_answer_stands(text, found):
    assert find_answers(text) == found


def test_only_what_is_marked():
    assert find_answers("So 12", unmarked=False) == []
    assert find_answers("#### 12", unmarked=False) == ["12"]


def test_long_texts():
    started = time.process_time()
    assert find_answers("x" * 1_000_000 + "\n#### 3\n") == ["3"]
    assert find_answers("1 " * 100_000)[-1] == "1"
    assert find_answers(r"\boxed{" * 50_000) == []
    assert len(find_answers("$" * 100_000)) <= 2
    assert find_answers("answer to " * 20_000) == []
    assert find_answers("the answer is 7 or " * 20_000) == ["7 or"]
    assert time.process_time() - started < 2

"""Pairs that are the same answer, and near misses that are not."""

import time

import pytest

from qstar_pl.rewards.answers import same_answer

SAME = [
    # Numbers.
    ("1250", "1,250"),
    ("$1,250.00", "1250"),
    ("1.25e3", "1250"),
    (r"1.25 \times 10^3", "1250"),
    ("-7", "−7"),
    ("+5", "5"),
    ("015", "15"),
    (".5", "0.5"),
    ("0.50", r"\frac{1}{2}"),
    ("3/6", "1/2"),
    (r"\frac12", "0.5"),
    (r"14{,}238", "14238"),
    (r"10\,000", "10000"),
    (r"-\frac{1}{2}", r"\frac{-1}{2}"),
    ("7.", "7"),
    (r"\$72", "72"),
    (r"$\$72$", "72.00"),
    ("1 000 000", "10^6"),
    ("1,234.50", "1234.5"),
    ("1.5 million", "1,500,000"),
    ("11th", "11"),
    (r"11^{\text{th}}", "11"),
    ("(5)", "5"),
    ("2^{10}", "1024"),
    # Mixed numbers.
    ("1 1/2", "1.5"),
    (r"6\frac{2}{3}", r"\frac{20}{3}"),
    ("2½", "2.5"),
    (r"-13\frac{1}{2}", "-13.5"),
    # Units, money, percent, degrees.
    ("72 clips", "72"),
    ("$87.50", "87.5"),
    ("5 dollars", "$5"),
    ("9 inches", r"9 \text{ inches}"),
    ("9 in.", "9 inches"),
    ("245 yards", "245 yd."),
    (r"80\%", "80"),
    ("80%", "0.8"),
    ("80 percent", r"80\%"),
    (r"75^\circ", "75"),
    ("75 degrees", r"75^{\circ}"),
    (r"12\text{ cm}^2", "12 square centimeters"),
    ("60 miles per hour", "60"),
    (r"180^\circ", r"\pi"),
    # Roots, constants, functions.
    (r"\sqrt{8}", r"2\sqrt2"),
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
    ("√3", r"\sqrt{3}"),
    (r"36\pi", "36π"),
    (r"\frac{1+\sqrt5}{2}", r"\dfrac{\sqrt{5}+1}{2}"),
    (r"\sqrt[3]{27}", "3"),
    (r"\log_2 8", "3"),
    (r"\sin 30^\circ", "1/2"),
    # A power behind the bracket is the function's; the exponent −1 of a name is its inverse.
    (r"\sin(x)^2", r"\sin^2 x"),
    (r"\ln(2)^2", r"(\ln 2)^2"),
    (r"\sin^{-1}\frac{1}{2}", r"\frac{\pi}{6}"),
    (r"\tan^{-1}(x)", r"\arctan x"),
    ("+".join("1" * 60), "60"),
    (r"\binom{5}{2}", "10"),
    ("5!", "120"),
    (r"e^{i\pi}", "-1"),
    (r"\left(\frac{1}{2}\right)^3", "0.125"),
    (r"\sqrt{30}+\sqrt{2}", r"\sqrt2+\sqrt{30}"),
    ("2sqrt(3)", r"2\sqrt{3}"),
    ("sqrt(3)/2", r"\frac{\sqrt3}{2}"),
    # Expressions with variables.
    ("(x-y)(x+y)", "x^2-y^2"),
    ("x²-y²", "x^2-y^2"),
    (r"\frac{xy}{y-x}", r"-\frac{xy}{x-y}"),
    ("10^{-x}", r"\frac{1}{10^x}"),
    ("a^{-2}+b^{-2}", r"\frac{1}{a^2}+\frac{1}{b^2}"),
    (r"\sqrt[8]{x^7}", "x^{7/8}"),
    ("-f(-y)", "-f(-y)"),
    ("2*(x+1)", "2x+2"),
    # Relations.
    ("x = 5", "5"),
    ("x = 1 or x = 2", "2, 1"),
    ("(x, y) = (1, 2)", "(1,2)"),
    ("12 * 5 = 60", "60"),
    ("5 = x", "5"),
    ("5", "n=5"),
    ("y=2x+1", "2x - y + 1 = 0"),
    ("3x+y=10", "y = 10 - 3x"),
    (r"b \le a/3", r"a/3 \geq b"),
    ("0 < x <= 2", r"0<x\leq 2"),
    ("x > 2", r"(2, \infty)"),
    (r"\{x \mid 2 < x < 3\}", "(2,3)"),
    (r"x \in [1, 2)", "[1,2)"),
    ("p + q = 288 + 143 = 431", "431"),
    # Several.
    ("9 and -7", r"-7 \text{ and } 9"),
    ("2, 3, or 4", r"4,3,2"),
    (r"\pm 8", "8 and -8"),
    (r"3 \pm \sqrt2", r"3-\sqrt2, 3+\sqrt2"),
    ("(1, 2)", "(1.0, 4/2)"),
    (r"\{1, 2, 2\}", r"\{2, 1\}"),
    ("1, 2", "(1,2)"),
    ("2:6", "1:3"),
    ("1:3", r"\frac13"),
    (r"(-\infty, 2] \cup (3, 4)", r"(3,4) \cup (-\infty,2]"),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}"),
    # Choices.
    ("(B)", "B"),
    (r"\text{(B)}", "(B)"),
    ("B.", "B"),
    (r"\textbf{(A)}\ 26", "26"),
    (r"\text{(D) } \frac{\sqrt{2}}{2}", r"\frac{\sqrt{2}}{2}"),
    (r"40\textbf{ (B)}", "40"),
    ("(D) = 143", "143"),
    (r"\textbf{(E) 24}", "24"),
    # Words.
    ("The James I.", "james i"),
    ("Monday", r"\text{Monday}"),
    ("South  Carolina", "south carolina"),
    ("no", "No"),
    ("14 December 1972", "14 December 1972."),
    ("1,000 years", "1000 years"),
    ("New York's", "new yorks"),
    (r"$a+4$", "a + 4"),
    (r"\( \frac{2\sqrt{3}-3}{2} \)", r"\frac{2\sqrt{3}-3}{2}"),
    ("**72**", "72"),
    ("9" * 5000, "9" * 5000),
    ("9" * 2000 + ",000", "9" * 2000 + "000"),
    ("9**9**9", "9**9**9"),
]
NEAR_MISSES = [
    # Numbers.
    ("1250", "1,251"),
    ("-7", "7"),
    ("0.33", r"\frac13"),
    ("3.14", r"\pi"),
    ("1.25e4", "1250"),
    ("1 1/2", "11/2"),
    (r"2\frac{1}{2}", "1"),
    ("1.5", "15"),
    ("1/2", "12"),
    ("1.5 million", "1.5"),
    ("2 thirds", "2"),
    ("10^{40}+1", "10^{40}"),
    ("0.1", "0.10000000000000001"),
    (r"\frac{2}{3}", r"\frac{3}{2}"),
    ("1,23", "123"),
    ("1 23", "123"),
    ("2^{10}", "2^{11}"),
    ("12", "21"),
    ("5 or 6", "5"),
    ("100", "1e3"),
    ("10", "10^10"),
    ("9" * 5000, "9" * 4999 + "8"),
    ("9**9**9", "9**9**8"),
    # Units.
    ("5 km", "5 miles"),
    (r"5\text{ m}", r"5\text{ cm}"),
    ("$5", "5 cents"),
    ("0.5%", "0.5"),
    ("8%", "0.8"),
    (r"12\text{ cm}^2", r"12\text{ cm}"),
    ("80%", "8"),
    ("60 miles per hour", "60 miles"),
    (r"90^\circ", "100"),
    # Roots and expressions.
    (r"\sqrt{8}", r"\sqrt{2}"),
    (r"2\sqrt{3}", r"3\sqrt{2}"),
    (r"\sqrt{2}", "1.41421356237"),
    (r"-2+\sqrt3", r"-2-\sqrt3"),
    ("x^2-y^2", "y^2-x^2"),
    ("(x+y)^2", "x^2+y^2"),
    ("4K", "4"),
    ("4K", "5K"),
    ("x+1", "y+1"),
    ("2x", "x^2"),
    ("-f(-y)", "f(y)"),
    ("f(x+1)", "f(x)+1"),
    (r"\log_2 8", r"\log_8 2"),
    (r"\ln 2", r"\log 2"),
    ("5!", "5"),
    (r"\frac{1}{2}x", r"\frac{1}{2x}"),
    ("10^{-x}", "-10^x"),
    (r"\sin x", r"\cos x"),
    (r"\sin(x)^2", r"\sin(x^2)"),
    (r"\sin^{-1} x", r"\csc x"),
    ("x_1", "x_2"),
    ("a'", "a"),
    # Relations and several.
    ("x = 5", "y = 5"),
    ("x = 5", "-5"),
    ("y=2x+1", "y=2x-1"),
    ("4 = 5", "5"),
    ("p + q = 5 = 7", "7"),
    ("x = 5 or x = 6", "5"),
    ("x < 2", "x > 2"),
    ("x < 2", r"x \le 2"),
    ("x > 2", r"[2, \infty)"),
    ("(1, 2)", "(2, 1)"),
    ("(1,2)", "[1,2]"),
    ("[1,2)", "(1,2]"),
    (r"\{1,2\}", "(1,2)"),
    (r"\{1,2\}", r"\{1,2,3\}"),
    ("9", "9 and -7"),
    ("9 and 7", "9 and -7"),
    (r"\pm 8", "8"),
    ("1:3", "3:1"),
    ("(1,2,3)", "(1,2)"),
    ("2, 3", "2, 3, 4"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}"),
    ("(1,234)", "1234"),
    # Choices.
    ("A", "B"),
    ("(A) 26", "B"),
    (r"\textbf{(A)}\ 26", "25"),
    ("(B)", "26"),
    ("a", "B"),
    # Words.
    ("Monday", "Tuesday"),
    ("James II", "James I"),
    ("South Carolina", "North Carolina"),
    ("Carolina South", "South Carolina"),
    ("yes", "no"),
    ("not 5", "5"),
    ("", "5"),
    ("?", "5"),
    ("1984", "1985"),
    ("one", "neo"),
    ("the", "an"),
]


def short(text):
    return text[:30] or "nothing"


@pytest.mark.parametrize(("answer", "reference"), SAME, ids=short)
def test_the_same(answer, reference):
    assert same_answer(answer, reference)
    assert same_answer(reference, answer)
    if answer.startswith("\\") and "(" not in answer[:2]:
        assert same_answer(f"${answer}$", reference)


@pytest.mark.parametrize(("answer", "reference"), NEAR_MISSES, ids=short)
def test_near_misses(answer, reference):
    assert not same_answer(answer, reference)
    assert not same_answer(reference, answer)


def test_a_letter_is_wanted_by_the_reference():
    assert same_answer("(A) 26", "A")
    assert same_answer(r"\textbf{(A)}\ 26", "(A)")
    assert not same_answer("A", "(A) 26")
    assert not same_answer("A", "26")


def test_there_are_enough_of_them():
    assert len(set(NEAR_MISSES)) >= 40


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9**9",
        "9^{9^{9^{9}}}",
        "10^{10^{10}}",
        "2^{99999}",
        "1e9999",
        "1000!!!!",
        "999999!",
        r"\sqrt[999999]{2}",
        "(" * 500,
        "{" * 900,
        "x^" * 300 + "2",
        "-" * 900 + "1",
        r"\frac" * 200,
        "+".join("1" * 500),
        "1" + "!" * 600,
        "3" + "%" * 600,
        "/".join("1" * 500),
        "1" + "^1" * 300,
        "2^" + "-" * 500 + "1",
        r"\sin" * 200 + "x",
        "[" + "(" * 38 + r"\sqrt" * 40 + "2" + ")" * 38,
        r"\sqrt" * 150 + "2",
        "1/0",
        r"\tan 90^\circ",
        r"0^{0}",
        "0^{-1}",
        r"e^{999999999}",
        r"\sin(10^{999})",
        r"\binom{99999}{500}",
        "1," * 400,
        "and " * 240,
        "x=" * 300 + "1",
        ":" * 500,
        "|" * 501,
        r"\{" * 300,
        r"\text{" * 160,
        "a" * 999,
        "\ue000" * 300,
        "\0",
        "1" * 999 + "^" + "1" * 900,
        r"\boxed{" * 100,
        "²" * 500,
        "½" * 300,
    ],
    ids=short,
)
def test_no_text_takes_long(text):
    started = time.process_time()
    assert same_answer(text, text) in (True, False)
    assert not same_answer(text, "12345")
    assert not same_answer("x+12345", text)
    assert time.process_time() - started < 2

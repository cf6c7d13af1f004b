"""Reads a formula, in LaTeX or as plain text, by recursive descent."""

from __future__ import annotations

from fractions import Fraction

from qstar_pl.rewards.answers.expressions import FUNCTIONS, Apply, Expression, Number, Symbol
from qstar_pl.rewards.answers.tokens import Token, tokens

MAX_DEPTH = 80
"""Of what is read inside of something else; a pair of brackets counts twice. Python's own limit lies far beyond."""
MAX_HEIGHT = 100
"""Of an expression's tree, whose value is worked out from the leaves up: a sum of n terms is n high."""
_LETTERS = """
alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho sigma tau phi varphi chi psi
omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell hbar infty
"""
_GREEK = frozenset(_LETTERS.split())
_OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}"}
_UNKNOWN_FUNCTIONS = frozenset("fgFG")
_MINUS_ONE = Apply("negative", (Number(Fraction(1)),))


class NoFormulaError(ValueError):
    """The text is no formula that can be read here."""


def parsed_expression(text: str) -> Expression:
    """Return the expression that a text stands for.

    Raises:
        NoFormulaError: if it is none, or nested deeper than `MAX_DEPTH`.

    """
    reader = _Reader(tokens(text))
    expression = reader.sum()
    if reader.here() is not None or _height(expression) > MAX_HEIGHT:
        raise NoFormulaError(text)
    return expression


def _height(expression: Expression) -> int:
    """Return how many operations lie above the deepest number; without recursion, for it is what bounds recursion."""
    height, level = 0, [expression]
    while level := [argument for one in level if isinstance(one, Apply) for argument in one.arguments]:
        height += 1
    return height


class _Reader:
    """The rest of the pieces, from the left."""

    def __init__(self, pieces: list[Token]) -> None:
        self.pieces, self.place, self.depth = pieces, 0, 0

    def here(self) -> str | None:
        """Return the next piece, None at the end."""
        return self.pieces[self.place].text if self.place < len(self.pieces) else None

    def token(self) -> Token:
        """Return the next piece and go on."""
        if self.place >= len(self.pieces):
            raise NoFormulaError("it ends too early")
        self.place += 1
        return self.pieces[self.place - 1]

    def take(self, *texts: str) -> str | None:
        """Go on and return the next piece, if it is one of these."""
        if (here := self.here()) in texts:
            self.place += 1
            return here
        return None

    def need(self, text: str) -> None:
        """Go on behind this piece."""
        if self.take(text) is None:
            raise NoFormulaError(f"{text} is missing")

    def deeper(self) -> None:
        """Count one more thing that is read inside of another; who calls this takes it back at its end."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NoFormulaError("it is nested too deeply")

    def sum(self) -> Expression:
        """Read terms with + and -."""
        self.deeper()
        sign = self.take("+", "-")
        total = self.product()
        # The sign is that of the whole first term: −2^2 is −4.
        total = Apply("negative", (total,)) if sign == "-" else total
        while (sign := self.take("+", "-")) is not None:
            total = Apply(sign, (total, self.product()))
        self.depth -= 1
        return total

    def product(self) -> Expression:
        """Read factors with signs between them, or side by side; % and ° belong to all of them."""
        result = self.factor(first=True)
        while True:
            if (sign := self.take("*", "/", r"\cdot", r"\div")) is not None:
                negative = self.take("-")
                other = self.factor()
                other = Apply("negative", (other,)) if negative else other
                result = Apply("/" if sign in ("/", r"\div") else "*", (result, other))
            elif self.take("%"):
                result = Apply("percent", (result,))
            elif self.take("°"):
                result = Apply("degree", (result,))
            # No tighter than a sign: 1/2x is x/2.
            elif self.begins_factor():
                result = Apply("*", (result, self.factor()))
            else:
                return result

    def begins_factor(self) -> bool:
        """Return whether a factor stands next, without a sign before it."""
        if self.place >= len(self.pieces):
            return False
        token = self.pieces[self.place]
        if token.text in (r"\rfloor", r"\rceil", r"\|", r"\}"):
            return False
        if token.kind == "number":  # two numbers side by side are no product
            return self.place > 0 and self.pieces[self.place - 1].text in (")", "}")
        return token.kind in ("symbol", "command") or token.text in ("(", "[", "{")

    def factor(self, first: bool = False) -> Expression:
        """Read a base with its exponents and factorials; with `first`, also a mixed number."""
        start = self.pieces[self.place] if self.place < len(self.pieces) else None
        base = self.base()
        if first and start is not None and start.kind == "number" and isinstance(base, Number):
            base = self.mixed(base.value)
        while True:
            if self.take("^"):
                base = Apply("^", (base, self.exponent()))
            # The pieces are single signs: 2**3 comes as two stars.
            elif self.here() == "*" and self._is_double_star():
                self.place += 2
                base = Apply("^", (base, self.exponent()))
            elif self.take("!"):
                base = Apply("!", (base,))
            else:
                return base

    def _is_double_star(self) -> bool:
        following = self.pieces[self.place + 1 : self.place + 2]
        return bool(following) and following[0].text == "*" and not following[0].spaced

    def mixed(self, whole: Fraction) -> Expression:
        """Return the value of 2 1/2 and 2\\frac{1}{2}; a fraction above 1 is a factor."""
        place = self.place
        if whole.denominator == 1:
            part: Fraction | None = None
            if self.take(r"\frac"):
                above, below = self.argument(), self.argument()
                if isinstance(above, Number) and isinstance(below, Number) and below.value:
                    part = above.value / below.value
            elif place < len(self.pieces) and self.pieces[place].kind == "number" and self.pieces[place].spaced:
                above_text = self.token().text
                if self.take("/") and self.place < len(self.pieces) and self.pieces[self.place].kind == "number":
                    below_text = self.token().text
                    if above_text.isdigit() and below_text.isdigit() and int(below_text):
                        part = Fraction(int(above_text), int(below_text))
            if part is not None and 0 < part < 1:
                return Number(whole + part)
        # Not a mixed number: what was looked at is read again, as the next factor.
        self.place = place
        return Number(whole)

    def exponent(self) -> Expression:
        """Read an exponent: a group, or one thing with its sign."""
        self.deeper()
        if self.take("-"):
            exponent: Expression = Apply("negative", (self.exponent(),))
        else:
            exponent = self.base()
            # From the right: 2^3^2 is 2^9.
            exponent = Apply("^", (exponent, self.exponent())) if self.take("^") else exponent
        self.depth -= 1
        return exponent

    def argument(self) -> Expression:
        """Read a command's argument: a group or a single sign; of a number, its first digit."""
        if self.take("{"):
            inner = self.sum()
            self.need("}")
            return inner
        token = self.token()
        # \frac12 is 1/2: the digits behind the first are put back as a piece of their own.
        if token.kind == "number" and len(token.text) > 1 and token.text.isdigit():
            self.place -= 1
            self.pieces[self.place] = Token("number", token.text[1:], False)
            return Number(Fraction(token.text[0]))
        self.place -= 1
        return self.base()

    def base(self) -> Expression:
        """Read a number, a variable, a group or a command."""
        self.deeper()
        token = self.token()
        match token.kind:
            case "number":
                base: Expression = Number(_number(token.text))
            case "symbol":
                base = self.symbol(token.text)
            case "command":
                base = self.command(token.text)
            case _ if token.text in _OPENING:
                base = self.group(token.text)
            case _ if token.text == "|":
                base = Apply("absolute", (self.sum(),))
                self.need("|")
            case _:
                raise NoFormulaError(f"{token.text} begins nothing")
        self.depth -= 1
        return base

    def group(self, opening: str) -> Expression:
        """Read up to the closing sign."""
        inner = self.sum()
        self.need(_OPENING[opening])
        return inner

    def symbol(self, name: str) -> Expression:
        """Return a variable with its index and primes, or an unknown function at its argument."""
        if self.take("_"):
            name += "_" + self.index()
        while self.take("'"):
            name += "'"
        if name in _UNKNOWN_FUNCTIONS and self.take("("):
            arguments = [self.sum()]
            while self.take(","):
                arguments.append(self.sum())
            self.need(")")
            return Apply(f"function {name}", tuple(arguments))
        return Symbol(name)

    def index(self) -> str:
        """Read a lower index as text."""
        if not self.take("{"):
            return self.token().text
        text = ""
        while (here := self.token().text) != "}":
            text += here
        return text

    def command(self, text: str) -> Expression:
        """Read a command with its arguments."""
        name = text[1:]
        match name:
            case "frac":
                return Apply("/", (self.argument(), self.argument()))
            case "sqrt":
                degree: Expression = Number(Fraction(2))
                if self.take("["):
                    degree = self.sum()
                    self.need("]")
                return Apply("root", (degree, self.argument()))
            case "binom":
                return Apply("choose", (self.argument(), self.argument()))
            case "pi":
                return Symbol("pi")
            case "lfloor" | "lceil":
                inner = self.sum()
                self.need(r"\r" + name[1:])
                return Apply(name[1:], (inner,))
        if name in FUNCTIONS:
            return self.function(name)
        if name in _GREEK:
            return self.symbol(name)
        if name == "|":
            inner = self.sum()
            self.need(r"\|")
            return Apply("absolute", (inner,))
        raise NoFormulaError(f"{text} is not known here")

    def function(self, name: str) -> Expression:
        """Read a function with its power or base, and its argument."""
        power: Expression | None = None
        base: Expression | None = None
        if self.take("^"):
            # sin^2 x: the power stands before the argument and applies to the value.
            power = self.exponent()
            # But sin^{-1} x is the inverse function, as written where 1/sin x is csc x.
            if power == _MINUS_ONE and f"arc{name}" in FUNCTIONS:
                name, power = f"arc{name}", None
        if name == "log" and self.take("_"):
            base = self.argument()
        argument = self.operand()
        applied = Apply("log base", (base, argument)) if base is not None else Apply(FUNCTIONS[name], (argument,))
        return applied if power is None else Apply("^", (applied, power))

    def operand(self) -> Expression:
        """Read a function's argument: a bracketed factor, or factors side by side up to the next function."""
        if self.here() in ("(", "["):
            return self.base()  # sin(x)^2 is (sin x)^2: the power behind the bracket is the whole's
        if self.here() == "{":
            return self.factor()
        operand = self.factor(first=True)
        if self.take("°"):
            return Apply("degree", (operand,))
        # sin 2x cos x is sin(2x) · cos x.
        while self.begins_factor() and (self.here() or "").lstrip("\\") not in FUNCTIONS:
            operand = Apply("*", (operand, self.factor()))
        return operand


def _number(text: str) -> Fraction:
    digits = text.replace(",", "").rstrip(".")
    return Fraction("0" + digits if digits.startswith(".") else digits)

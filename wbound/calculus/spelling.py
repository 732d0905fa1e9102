"""What people type for a formula, in the plain ASCII that the parser of expressions reads.

``t^2`` and ``t²`` are ``t**2``, ``2t`` and ``2(1+t)`` are ``2*t`` and ``2*(1+t)``, ``ln`` is ``log``, ``np.exp``
and ``math.exp`` are ``exp``, ``β`` is ``beta``. What could be read in two ways (``1/2t``, ``t²^3``, ``t(1+t)``)
is refused with what to write. Text is only split and respelt here: nothing is looked up or run.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NoReturn

__all__ = ["LETTERS", "MAX_DIGITS", "MAX_NESTING", "MAX_TOKENS", "Misspelt", "plain"]

MAX_TOKENS = 400
MAX_NESTING = 24  # parentheses, powers, signs and calls inside one another
MAX_DIGITS = 60  # of one number, as typed

#: Greek letters by name: one may begin a name, alone or before digits and _ (β, β0, σ_max).
LETTERS = {
    **{"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta"},
    **{"θ": "theta", "ι": "iota", "κ": "kappa", "λ": "lam", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi"},
    **{"ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi"},
    **{"ω": "omega", "\u00b5": "mu"},  # the micro sign of some keyboards
}
#: Other names of functions, and what has to be written for those that have none here.
ALIASES = {"ln": "log", "arctan": "atan", "fabs": "abs"}
WRITE = {
    "log10": "log(...)/log(10)",
    "log2": "log(...)/log(2)",
    "pow": "u**v",
    "power": "u**v",
    "square": "(...)**2",
    "cbrt": "(...)**(1/3)",
    "sigmoid": "1/(1+exp(-(...)))",
    "arcsinh": "log(u+sqrt(u**2+1))",
    "asinh": "log(u+sqrt(u**2+1))",
}

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_GREEK = re.compile(f"([{''.join(LETTERS)}])((?:[0-9_][A-Za-z0-9_]*)?)")
_MODULE = re.compile(r"(?:np|numpy|jnp|math|sympy|sp|torch)\.(?=[A-Za-z])")
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RAISED = re.compile("⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SIGNS = {"^": "**", "−": "-", "·": "*", "⋅": "*", "×": "*"}
_BLANKS = " \t\r\n"
_HINTS = {
    "//": "write / for division",
    "_": "a name starts with a letter",
    "=": "an expression has no '='",
    ".": "no attributes; a number needs a digit beside its point",
    "[": "no subscripts or lists",
    "{": "no sets or dictionaries",
    '"': "no strings",
    "'": "no strings",
    ",": "every function takes one argument",
    "√": "write sqrt(...)",
    "÷": "write / for division",
    "–": "write - for minus",
    "—": "write - for minus",
    "²": "a raised digit stands right behind what is raised",
}


class Misspelt(Exception):
    """Why a text is refused (a semicolon parts what is wrong from what to do), and the character typed there."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why)
        self.why, self.at = why, at


def plain(
    text: str,
    names: Collection[str],
    functions: Collection[str],
    constants: Collection[str],
    *,
    open_: bool = False,
) -> tuple[str, tuple[int, ...]]:
    """The text in plain spelling, and for each of its characters the index of the one typed.

    names: variables and parameters; ``open_``: whether a user may add parameters (for what a message advises).
    Raises `Misspelt` for characters and names that are not allowed, and for text that is too long or deep.
    """
    return _Reader(text, names, functions, constants, open_).run()


class _Reader:
    """One text from left to right. ``last`` is the kind of token just read: "" (nothing, or an operator or an
    open parenthesis: an operand may follow), "number", "name", "function", "close", "raised"."""

    def __init__(
        self,
        text: str,
        names: Collection[str],
        functions: Collection[str],
        constants: Collection[str],
        open_: bool,
    ) -> None:
        self.text, self.names, self.functions, self.constants = text, names, functions, constants
        self.open = open_
        self.out: list[str] = []
        self.origin: list[int] = []
        self.last, self.word = "", ""
        self.sign = ""  # the operator before the last operand
        self.tokens = self.nesting = 0

    def refuse(self, why: str, at: int) -> NoReturn:
        raise Misspelt(why, at)

    def put(self, piece: str, at: int, typed: int | None = None) -> None:
        """Add to the plain text what the characters from ``at`` on, ``typed`` of them, say."""
        self.tokens += 1
        if self.tokens > MAX_TOKENS:
            self.refuse("is too long", at)
        same = typed is None or typed == len(piece)
        self.out.append(piece)
        self.origin += range(at, at + len(piece)) if same else [at] * len(piece)

    def run(self) -> tuple[str, tuple[int, ...]]:
        text, at = self.text, 0
        while at < len(text):
            char = text[at]
            if char in _BLANKS:
                self.out.append(" ")
                self.origin.append(at)
                at += 1
            elif char in "0123456789." and (match := _NUMBER.match(text, at)):
                at = self.number(match.group(), at)
            elif match := _MODULE.match(text, at) or _NAME.match(text, at) or _GREEK.match(text, at):
                at = self.named(match, at)
            elif match := _RAISED.match(text, at):
                at = self.raised(match.group(), at)
            elif char in "()":
                at = self.parenthesis(char, at)
            elif char in _SIGNS or (char in "+-*/" and not text.startswith("//", at)):
                at = self.operator(at)
            else:
                key = "//" if text.startswith("//", at) else char
                hint = _HINTS.get("²" if char in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹" else key)
                self.refuse(f"character '{_ascii(key)}' is not allowed{f'; {hint}' if hint else ''}", at)
        if self.nesting:
            self.refuse("a parenthesis is not closed", text.rfind("("))
        return "".join(self.out), tuple(self.origin)

    def beside(self, at: int) -> bool:
        """Whether the character before this one belongs to a token."""
        return at > 0 and self.text[at - 1] not in _BLANKS

    def factor(self, shown: str, at: int) -> None:
        """An operand begins: after another one a product is meant. Put its * where only one is possible."""
        if not self.last:
            return
        if self.last == "function":
            self.refuse(f"function '{self.word}' needs an argument in parentheses", at)
        left = self.word if self.last in ("number", "name") else "(...)"
        if self.last != "number" or not self.beside(at) or shown in ("e", "E") or shown[0] in "0123456789.":
            runs = self.last == "number" and self.beside(at)
            what = "a number runs into a name or a second point" if runs else "a factor follows another"
            self.refuse(f"{what}; write * to multiply: {left}*{shown}", at)
        if self.sign in ("/", "**"):
            self.refuse(
                f"a product right after {self.sign} can be read in two ways; "
                f"write {self.sign}({left}*{shown}) or {self.sign}{left}*{shown}",
                at,
            )
        self.put("*", at)

    def number(self, digits: str, at: int) -> int:
        self.factor(digits[:20], at)
        if len(digits) > MAX_DIGITS:
            self.refuse(f"a number has more than {MAX_DIGITS} characters", at)
        self.put(digits, at)
        self.last, self.word = "number", digits[:20]
        end = at + len(digits)
        if self.text[end : end + 1] in ("_", "."):
            self.refuse("a number runs into a name or a second point", end)
        return end

    def named(self, match: re.Match[str], at: int) -> int:
        typed = match.group()
        module = typed if match.re is _MODULE else ""
        if module:
            word = _NAME.match(self.text, match.end()).group()  # type: ignore[union-attr]
            typed += word
        else:
            word = LETTERS[match.group(1)] + match.group(2) if match.re is _GREEK else typed
        own = word in self.names and not module
        word = word if own else ALIASES.get(word, word)
        if not own and word not in self.functions and word not in self.constants:
            self.unknown(word, at, module)
        self.factor(word[:20], at)
        self.put(word, at, len(typed))
        self.last, self.word = "function" if not own and word in self.functions else "name", word
        return at + len(typed)

    def unknown(self, word: str, at: int, module: str) -> NoReturn:
        names = ", ".join(self.names)
        advice = f"allowed: {names}{', ' if names else ''}pi, e, functions {', '.join(self.functions)}"
        halves = [(word[:i], word[i:]) for i in range(1, len(word))]
        split = next((f"{a}*{b}" for a, b in halves if a in self.names and b in self.names), None)
        if word in WRITE:
            advice = f"write {WRITE[word]}"
        elif word.lower() in self.functions:
            advice = f"write {word.lower()}"
        elif split is not None:
            advice = f"write {split} for a product"
        elif (name := word.rstrip("0123456789")) in self.names and not module:
            advice = f"write {name}*{word[len(name) :]} or {name}**{word[len(name) :]}; {advice}"
        elif (
            self.open and not module and len(word) <= 20 and self.text[at + len(word) :][:1] not in (".", "(")
        ):
            advice = f"a parameter needs its value: -p {word}=VALUE, in Python {word}=VALUE; {advice}"
        self.refuse(f"unknown name '{module}{word[:20]}'; {advice}", at)

    def raised(self, typed: str, at: int) -> int:
        digits = typed.translate(_DIGITS)
        if self.last == "function":
            self.refuse(f"a power of the name '{self.word}'; write {self.word}(...)**{digits}", at)
        if self.last not in ("number", "name", "close") or not self.beside(at):
            self.refuse(f"character '{_ascii(typed[0])}' is not allowed; {_HINTS['²']}", at)
        if len(digits) > MAX_DIGITS:
            self.refuse(f"a number has more than {MAX_DIGITS} characters", at)
        self.put("**", at, len(typed))
        self.put(f"({digits})" if digits[0] == "-" else digits.lstrip("0") or "0", at, 0)
        self.last = "raised"
        return at + len(typed)

    def parenthesis(self, char: str, at: int) -> int:
        self.nesting += 1 if char == "(" else -1
        if self.nesting > MAX_NESTING:
            self.refuse(f"more than {MAX_NESTING} parentheses inside one another", at)
        if self.nesting < 0:
            self.refuse("a parenthesis is closed that was not opened", at)
        if char == "(" and self.last != "function":
            self.factor("(...)", at)
        self.put(char, at)
        self.last = "close" if char == ")" else ""
        self.sign = self.sign if char == ")" else ""
        return at + 1

    def operator(self, at: int) -> int:
        typed = "**" if self.text.startswith("**", at) else self.text[at]
        sign = _SIGNS.get(typed, typed)
        if sign == "**" and self.last == "function":
            self.refuse(f"a power of the name '{self.word}'; write {self.word}(...){sign}...", at)
        if sign == "**" and self.last == "raised":
            self.refuse("a power of a raised digit can be read in two ways; write (...**...)**...", at)
        # a sign before an operand is no operator between two: 2**-3t is as unclear as 2**3t
        self.sign = sign if self.last else self.sign if self.sign in ("/", "**") else sign
        self.put(sign, at, len(typed))
        self.last = ""
        return at + len(typed)


def _ascii(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")

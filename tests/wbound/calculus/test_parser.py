"""Text of a user becomes exact sympy, or one line that points at the character; nothing is ever run."""

from __future__ import annotations

import ast
import builtins
import os
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sympy.codegen.cfunctions import expm1, log1p

from wbound.calculus.parser import (
    FUNCTIONS,
    LAM,
    MAX_CHARACTERS,
    T,
    X,
    accept,
    function,
    number,
    parse,
    symbol,
)
from wbound.errors import BadInput

A, B = symbol("a"), symbol("b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(b+a*t)/2", (B + A * T) / 2),
        ("sqrt(b + a*t)", sympy.sqrt(B + A * T)),
        ("-t**2", -(T**2)),  # a sign binds less than a power
        ("2**-t", sympy.Integer(2) ** (-T)),
        ("2**3**2", sympy.Integer(512)),
        ("8-4-2", sympy.Integer(2)),
        ("8/4/2", sympy.Integer(1)),
        ("+t--1", T + 1),
        ("  t\n\t+ 1 ", T + 1),
        (".5e1*t", 5 * T),
        ("1.", sympy.Integer(1)),
        ("e**t", sympy.exp(T)),
        ("pi*E", sympy.pi * sympy.E),
        ("expm1(t)+log1p(t)", expm1(T) + log1p(T)),
        ("sech(t)", 1 / sympy.cosh(T)),
        ("abs(t-1)", sympy.Abs(T - 1)),
        ("exp(exp(t))", sympy.exp(sympy.exp(T))),
        ("0.01*5000**t", sympy.Integer(5000) ** T / 100),
        ("0.01*exp(t*log(5000))", sympy.exp(T * sympy.log(5000)) / 100),
        ("a*exp(b*t)/(1+t)**2.5", A * sympy.exp(B * T) / (1 + T) ** sympy.Rational(5, 2)),
        ("0e999999999", sympy.Integer(0)),
        # what people type
        ("t^2", T**2),
        ("-t^2", -(T**2)),
        ("2^3^2", sympy.Integer(512)),
        ("2t", 2 * T),
        ("-2t", -2 * T),
        ("2t^2+3(1+t)", 2 * T**2 + 3 * (1 + T)),
        ("1.5e1t", 15 * T),
        ("2exp(t)*2pi", 4 * sympy.pi * sympy.exp(T)),
        ("1/2*3t", 3 * T / 2),
        ("2*t²", 2 * T**2),
        ("2t²+(1+t)⁻¹⁰", 2 * T**2 + (1 + T) ** -10),
        ("10²", sympy.Integer(100)),
        ("2**t²", sympy.Integer(2) ** (T**2)),
        ("ln(1+t)", sympy.log(1 + T)),
        (
            "np.exp(t)+math.sqrt(t)+numpy.arctan(t)*np.pi",
            sympy.exp(T) + sympy.sqrt(T) + sympy.atan(T) * sympy.pi,
        ),
        ("a·t − b×t⋅t", A * T - B * T**2),
        ("π*t", sympy.pi * T),
    ],
)
def test_grammar(text: str, expected: sympy.Expr) -> None:
    assert parse(text, "t", ("a", "b")) == expected


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_is_the_numpy_function_of_its_name(name: str) -> None:
    reference = {"abs": np.abs, "atan": np.arctan, "sech": lambda u: 1 / np.cosh(u)}
    at = np.array([0.1, 0.7, 1.3, 4.0])
    expected = (reference.get(name) or getattr(np, name))(at)
    np.testing.assert_allclose(function(parse(f"{name}(t)"), T)(at), expected, rtol=4e-16)


@settings(max_examples=5 * settings.default.max_examples)
@given(st.decimals(min_value=0, max_value=10**12, places=9))
def test_decimals_are_exact(value) -> None:
    parsed = parse(str(value))
    assert parsed.is_Rational and Fraction(parsed.p, parsed.q) == Fraction(str(value))


def test_decimals_come_from_the_text_not_from_the_binary_float() -> None:
    assert parse("0.1") == sympy.Rational(1, 10) != sympy.Rational(0.1)
    assert parse("19.9*t+0.1") == sympy.Rational(199, 10) * T + sympy.Rational(1, 10)


def test_symbols_are_shared_by_name() -> None:
    assert symbol("t") is T and symbol("lam") is LAM and symbol("x") is X
    assert parse("t*a", "t", ("a",)).free_symbols == {T, A}
    assert T.is_nonnegative and LAM.is_positive and A.is_positive and X.is_positive is None
    for name in ("", "2a", "a b", "__import__", "_a", "exp", "pi", "lambda", "a" * 41, "α"):
        with pytest.raises(BadInput):
            symbol(name)
    for name in ("t", "x", "lam"):
        with pytest.raises(BadInput):
            parse("t", "t", (name,))


HOSTILE = [
    "__import__('os').system('touch /tmp/hostile')",
    "().__class__",
    "().__class__.__base__.__subclasses__()",
    "(t).real",
    "9**9**9**9",
    "(((9**60)**60)**60)**60",
    "((2*t)**999)**999",
    "2**(10**9)",
    "12**(10**9+t)",
    "exp(10**9*log(2*t))",
    "exp(t*(10**9*log(2)+1))",
    "24**0.7234567891",
    "(24*t)**0.7234567891",
    "exp(0.7234567891*log(24))",
    "(e**0.7234567891)**log(24)",
    "24**t*24**(0.7234567891-t)",
    "(24**t)**(0.7234567891/t)",
    "6**(1/97)*6**(1/89)*6**(1/83)",
    "1.47**(3.64**4)",
    "cosh((t-1)**0.7234567891)",
    "1e-999999999",
    "1e999999999",
    "1" * 5000,
    "9" * 100 + "**9",
    "(" * 50_000 + ")" * 50_000,
    "(" * 50_000,
    "-" * 300 + "t",
    "t" + "+t" * 400,
    "exp(" * 30 + "t" + ")" * 30,
    "ｔ+1",
    "е**t",  # a Cyrillic letter
    "t\u200b",
    "\x00",
    "\x1b[31mt",
    "lambda: t",
    "lambda",
    "t if t else t",
    "[t for t in t]",
    "t[0]",
    "{t}",
    "(t, t)",
    "t,",
    "a := t",
    "t == t",
    "t = 1",
    "t and t",
    "not t",
    "~t",
    "t % 2",
    "t // 2",
    "t @ t",
    "'t'",
    'f"{t}"',
    "b't'",
    "`t`",
    "t; t",
    "t # c",
    "t \\\n",
    "x+t",
    "T",
    "I",
    "nan",
    "inf",
    "oo",
    "None",
    "1j",
    "1_000",
    "0x10",
    "007",
    "1.2.3",
    "1e5e",
    "1/0",
    "1/(t-t)",
    "t/(1-1)",
    "0**-1",
    "0**t",
    "(-2)**t",
    "log(0)",
    "log(t-t)",
    "sqrt(-1)",
    "(-8)**(1/3)",
    "sqrt(-t)",
    "tan(pi/2)",
    "exp(exp(exp(10)))",
    "(1/3)**1000",
    "1e200*1e200",
    "exp",
    "exp()",
    "exp(t, t)",
    "exp(t=t)",
    "exp(*t)",
    "t(t)",
    "t t",
    "t+",
    "*t",
    "()",
    "(t",
    "t)",
    "t)+(t",
    "",
    "   ",
    "print(t)",
    "t²³⁴⁵⁶",
    "9^9^9^9",
    "(((9⁶⁰)⁶⁰)⁶⁰)⁶⁰",
    "((2t)⁹⁹⁹)⁹⁹⁹",
    "2²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²²",
    "24^0.7234567891",
    "t²^3",
    "t ²",
    "²",
    "t⁻",
    "1/2t",
    "2**-3t",
    "2t(t)",
    "t(1+t)",
    "(1+t)(2+t)",
    "2 t",
    "1/2(t)",
    "2e",
    "2t" + "+2t" * 140,  # its products count as tokens
    "np.__class__",
    "np.load('x')",
    "np.t",
    "np.np.exp(t)",
    "math.exp.real(t)",
    "os.system(t)",
    "t.np.exp",
    "µ.exp(t)",
    "sin²(t)",
    "sin^2(t)",
    "sin t",
    "eval('t')",
    "abs(log(t-1))",
    "atan(tan((123456789.123)**(24)))",  # an error inside sympy
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_hostile_text_is_refused_in_one_line_at_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def ran(*_: object, **__: object) -> None:
        raise AssertionError("text of a user was run")

    for name in ("eval", "exec"):
        monkeypatch.setattr(builtins, name, ran)
    original = builtins.compile

    def only_tree(
        source: object, filename: str, mode: str, flags: int = 0, *rest: object, **more: object
    ) -> object:
        return original(source, filename, mode, flags, *rest, **more) if flags & ast.PyCF_ONLY_AST else ran()

    monkeypatch.setattr(builtins, "compile", only_tree)
    monkeypatch.setattr(os, "system", ran)
    with pytest.raises(BadInput) as caught:
        parse(text, "t", (), option="f")
    message = str(caught.value)
    assert message.startswith("f = ") and "\n" not in message and message.isascii() and message.isprintable()
    assert len(message) < 400


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("b+q*t", "in Python q=VALUE; allowed: t, b, pi, e, functions sqrt, exp"),
        ("t%2", "character '%' is not allowed at character 2"),
        (
            "b+ q",
            "unknown name 'q' at character 4; a parameter needs its value: -p q=VALUE, in Python q=VALUE",
        ),
        ("t²+β", "unknown name 'beta' at character 4; a parameter needs its value: -p beta=VALUE"),
        ("t²+2t+1/0", "division by zero at character 9"),
        ("2t+expo(t)", "unknown name 'expo' at character 4; allowed: t, b"),
        ("1/2t", "can be read in two ways at character 4; write /(2*t) or /2*t"),
        ("t^2t", "can be read in two ways at character 4; write **(2*t) or **2*t"),
        ("t²^3", "can be read in two ways at character 3; write (...**...)**..."),
        ("t(1+t)", "a factor follows another at character 2; write * to multiply: t*(...)"),
        ("t b", "a factor follows another at character 3; write * to multiply: t*b"),
        ("bt", "unknown name 'bt' at character 1; write b*t for a product"),
        ("t2", "unknown name 't2' at character 1; write t*2 or t**2"),
        ("log10(t)", "unknown name 'log10' at character 1; write log(...)/log(10)"),
        ("Exp(t)", "unknown name 'Exp' at character 1; write exp"),
        ("sin²(t)", "a power of the name 'sin' at character 4; write sin(...)**2"),
        ("2e", "a number runs into a name or a second point at character 2; write * to multiply: 2*e"),
        ("t + 1/(2-2)", "division by zero at character 8"),
        ("t+\u03b1", "unknown name 'alpha' at character 3"),
        ("t+\u0430", "'\\u0430' is not allowed at character 3"),
        ("(t+1", "a parenthesis is not closed at character 1"),
        ("1+9**9**9**9", "an exponent is larger than 1000 at character 6"),
        ("t+expo(t)", "unknown name 'expo' at character 3"),
        ("t*", "cannot be read at character 2"),
        ("2*log(1-1)", "log is infinite or undefined here at character 3"),
        ("t" * 1001, f"is 1001 characters long; at most {MAX_CHARACTERS}"),
    ],
)
def test_messages_point_at_the_character(text: str, why: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text, "t", ("b",), option="g")
    assert why in str(caught.value)


FRAGMENTS = [
    *("t", "a", "x", "pi", "e", "E", "exp(", "log(", "sqrt(", "sinh(", "abs(", "tan(", "(", ")", "(", ")"),
    *(
        "+",
        "-",
        "*",
        "/",
        "**",
        "**",
        ",",
        ".",
        "^",
        "//",
        " ",
        "\n",
        "=",
        "[",
        "'",
        "_",
        "lambda ",
        "é",
        "²",
        "⁻",
        "⁹⁹",
        "np.",
        "ln(",
        "β",
        "−",
        "×",
    ),
    *("0", "1", "2", "24", "0.7234567891", "1e300", "1e-300", "999", "1/97", "1e17", "0.5", "-1", "1e9999"),
]


@settings(max_examples=20 * settings.default.max_examples)
@given(st.one_of(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join), st.text(max_size=40)))
@example("t**0.5")
def test_fuzz_of_text(text: str) -> None:
    _refused_or_usable(text)


@st.composite
def _trees(
    draw, leaves=("t", "a", "24", "0.7234567891", "1e300", "1e-300", "2", "12", "1/97", "999", "log(24)")
):
    def binary(children):
        return st.tuples(children, st.sampled_from(["+", "-", "*", "/", "**", "**"]), children).map(
            lambda parts: f"({parts[0]}){parts[1]}({parts[2]})"
        )

    def unary(children):
        return st.tuples(st.sampled_from(sorted(FUNCTIONS)), children).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        )

    return draw(
        st.recursive(
            st.sampled_from(leaves),
            lambda children: st.one_of(binary(children), unary(children)),
            max_leaves=8,
        )
    )


@settings(max_examples=3 * settings.default.max_examples)
@given(_trees())
@example("(24)**(0.777)")
@example("((t)**(0.7234567891))**(log(24))")
def test_fuzz_of_trees(text: str) -> None:
    _refused_or_usable(text)


def _refused_or_usable(text: str) -> None:
    try:
        expr = parse(text, "t", ("a",))
    except BadInput as error:
        assert "\n" not in str(error)
    else:
        assert expr.free_symbols <= {T, A} and not expr.has(sympy.zoo, sympy.nan, sympy.oo, sympy.I)
        assert isinstance(function(expr, T, A)(0.5, 1.5), float)


# ---- what people type ---------------------------------------------------------------------------------
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
OTHER = {"exp": "np.exp", "log": "ln", "sqrt": "math.sqrt", "sin": "numpy.sin", "atan": "arctan"}


@st.composite
def _spellings(draw) -> tuple[str, str]:
    """One formula as the grammar has it, and as somebody may type it."""
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(["t", "beta", "0.5", "3"]))
        return name, {"beta": "β"}.get(name, name)
    (one, typed), kind = draw(_spellings()), draw(st.integers(0, 4))
    if kind == 0:
        name = draw(st.sampled_from(sorted(OTHER)))
        return f"{name}({one})", f"{draw(st.sampled_from([name, OTHER[name]]))}({typed})"
    if kind == 1:
        power = draw(st.sampled_from(["2", "3", "-1", "10"]))
        written = draw(st.sampled_from([f"^({power})", power.translate(RAISED)]))
        return f"({one})**({power})", f"({typed}){written}"
    if kind == 2:
        factor = draw(st.sampled_from(["2", "0.25", "1e2"]))
        return f"({factor}*({one}))", f"({factor}({typed}))"
    other, second = draw(_spellings())
    sign, shown = draw(st.sampled_from([("*", "×"), ("*", "·"), ("-", "−"), ("+", "+"), ("/", "/")]))
    return f"({one}){sign}({other})", f"({typed}){shown}({second})"


@settings(max_examples=2 * settings.default.max_examples)
@given(_spellings())
def test_what_people_type_is_the_formula_that_it_stands_for(pair: tuple[str, str]) -> None:
    def read(text: str) -> object:
        try:
            return parse(text, "t", ("beta",))
        except BadInput:  # such as a square root of what may be negative: of both or of none
            return "refused"

    assert read(pair[0]) == read(pair[1])


def test_constants_are_numbers_from_the_first_moment() -> None:
    """A name that stands for a number is the number, guards included."""
    assert parse("1+c*t", "t", constants={"c": -0.5}) == 1 - T / 2
    assert accept(1 + sympy.Symbol("c") * sympy.Symbol("t"), "t", constants={"c": -0.5}) == 1 - T / 2
    for text in ("1/c", "log(c)", "t**(1e9*c)/c", "24**(c-0.7234567891)"):
        with pytest.raises(BadInput):
            parse(text, "t", constants={"c": 0.0})


# ---- sympy objects and numbers -------------------------------------------------------------------------
def test_accept_maps_symbols_of_the_same_name() -> None:
    t, a = sympy.symbols("t a")
    assert accept(0.1 * t + a, "t", ("a",)) == T / 10 + A
    assert accept("t+a", "t", ("a",)) == T + A
    assert accept(sympy.sqrt((t + 1) ** 2), "t") == T + 1  # simplified with what is known of t
    assert accept(3) == 3 and accept(0.1) == accept(np.float64(0.1)) == sympy.Rational(1, 10)


@pytest.mark.parametrize(
    "expr",
    [
        sympy.Symbol("q"),
        sympy.Function("f")(T),
        sympy.Integral(T, T),
        sympy.oo,
        sympy.nan,
        sympy.I * T,
        sympy.Piecewise((T, T > 1), (0, True)),
        float("nan"),
        float("inf"),
        None,
        True,
        [1],
        sympy.Matrix([T]),
        sum((sympy.Symbol("t") + i) ** 3 for i in range(2000)),
    ],
    ids=lambda expr: str(expr)[:20],
)
def test_accept_refuses_what_parse_could_not_build(expr: object) -> None:
    with pytest.raises(BadInput):
        accept(expr, "t", ())


def test_numbers() -> None:
    assert [number(s) for s in ("1/2", " 0.1", "1e-3", "-2", "2*pi")] == [0.5, 0.1, 0.001, -2.0, 2 * np.pi]
    assert number(3) == 3.0 and number(np.float64(0.25)) == 0.25
    for bad in ("", "t", "nan", "inf", "1e999", "one", "1,5", float("nan"), float("inf"), True, None):
        with pytest.raises(BadInput):
            number(bad, "--eps")

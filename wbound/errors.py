"""What can go wrong, as one family of exceptions, and the checks of plain values that raise them.

Every message is one line that names the value, what is allowed and, for a hypothesis, the statement
and the step that broke it. The command line prints the message and exits with ``exit_code``.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

__all__ = [
    "BadInput",
    "HypothesisFailed",
    "IOFailure",
    "Inconsistent",
    "Unreachable",
    "WboundError",
    "count",
    "nonnegative",
    "one_of",
    "positive",
    "real",
]


#: Characters of a list of names in a message.
LONGEST = 400


class WboundError(Exception):
    """Base of all errors that the toolkit raises on purpose."""

    exit_code = 2

    def __reduce__(self) -> tuple[Any, ...]:
        # a worker's error comes back as it was: pickling by the message alone would not rebuild it
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[WboundError], args: tuple[Any, ...], state: dict[str, Any]) -> WboundError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class BadInput(WboundError, ValueError):
    """A value that cannot be used: names the option, the value and what is allowed."""

    def __init__(self, option: str, value: Any, allowed: str) -> None:
        self.option, self.value, self.allowed = option, value, allowed
        shown = value if isinstance(value, str) else repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(" ".join(f"{option} = {shown}: {allowed}".split()))


class HypothesisFailed(WboundError, ValueError):
    """A theorem's hypothesis does not hold: names the statement, the hypothesis and the step."""

    def __init__(self, statement: str, hypothesis: str, detail: str, *, step: int | None = None) -> None:
        self.statement, self.hypothesis, self.detail, self.step = statement, hypothesis, detail, step
        where = "" if step is None else f" at step k = {step}"
        super().__init__(f"{statement} does not apply: {hypothesis} fails{where}: {detail}")


class Unreachable(WboundError, ValueError):
    """No number of steps brings the bound below ε: names the ``floor``. Where the search was cut off, so that some
    number might, the message says so and `cut_off` is True: ``floor`` is then what the bound stays above up to there.
    """

    cut_off = False

    def __init__(self, eps: float, floor: float, why: str) -> None:
        self.eps, self.floor = eps, floor
        super().__init__(f"eps = {eps:g}: must be above the floor {floor:.6g} set by {why}")

    @classmethod
    def beyond(cls, eps: float, least: float, where: str, what: str) -> Unreachable:
        """Of a search that is cut off ``where``, with ``what`` still at ``least`` there."""
        error = cls(eps, least, where)
        error.cut_off = True
        error.args = (
            f"eps = {eps:g}: not reached by {where}, where the search is cut off: {what} is {least:.6g} there",
        )
        return error


class Inconsistent(WboundError):
    """A claim was checked and found false (a schedule, a verdict, a certificate)."""

    exit_code = 3


class IOFailure(WboundError, OSError):
    """A file could not be read or written, or a run is incomplete."""

    exit_code = 4


def real(option: str, value: Any, allowed: str = "must be a finite number") -> float:
    """``value`` as a finite float, or `BadInput`."""
    if isinstance(value, (bool, str, bytes)):
        raise BadInput(option, value, allowed)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(option, value, allowed) from None
    if not math.isfinite(number):
        raise BadInput(option, value, allowed)
    return number


def positive(option: str, value: Any) -> float:
    """``value`` as a finite float > 0, or `BadInput`."""
    allowed = "must be a finite number > 0"
    number = real(option, value, allowed)
    if number <= 0.0:
        raise BadInput(option, value, allowed)
    return number


def nonnegative(option: str, value: Any) -> float:
    """``value`` as a finite float ≥ 0, or `BadInput`."""
    allowed = "must be a finite number >= 0"
    number = real(option, value, allowed)
    if number < 0.0:
        raise BadInput(option, value, allowed)
    return number


def count(option: str, value: Any, least: int = 1) -> int:
    """``value`` as an int ≥ ``least`` (an integral float such as 1e6 is taken), or `BadInput`."""
    allowed = f"must be an integer >= {least}"
    number = real(option, value, allowed)
    if number != math.floor(number) or number < least:
        raise BadInput(option, value, allowed)
    return int(value) if isinstance(value, int) else int(number)


def one_of(option: str, value: Any, names: Collection[str]) -> str:
    """``value`` if it is one of ``names``, or `BadInput` that lists them and says which is nearest, if one is near."""
    if not isinstance(value, str) or value not in names:
        near = _nearest(value, names) if isinstance(value, str) else None
        hint = "" if near is None else f"; the nearest is {near}"
        raise BadInput(option, value, "must be one of " + _listed(names) + hint)
    return value


def _listed(names: Collection[str]) -> str:
    """The names, or as many of them as fit into a line that can be read."""
    listed = ", ".join(names)
    if len(listed) <= LONGEST:
        return listed
    return listed[:LONGEST].rpartition(", ")[0] + f", … ({len(names)} names)"


def _nearest(value: str, names: Collection[str]) -> str | None:
    """The name that ``value`` is most like, whatever its capitals; None where it is like none."""
    from difflib import get_close_matches

    small = {name.casefold(): name for name in names}
    found = get_close_matches(value.casefold()[:80], small, n=1)
    return small[found[0]] if found else None

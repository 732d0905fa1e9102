"""The search for K(ε) over horizons: several T at once, each with a K of its own or all with equal steps, then the
smallest K at the best T (section 8)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wbound.calculus.suprema import vertex
from wbound.errors import Unreachable
from wbound.summation.criterion import SUMMED, Criterion, Value, value_at
from wbound.summation.step_sums import CHECKED, COARSE, FINE, SOUGHT, Quality
from wbound.typing import Array

__all__ = ["COUNTED", "MOST", "cut_off", "predicted", "search", "solve_K"]


#: From so many steps on the power law says what one step less does, unless it comes within this part of a step.
NEAR, DOUBT = 512.0, 0.1
#: So near, in parts of K, a K beyond `COUNTED` is taken to be the last.
NEARLY = 1e-4
#: log K of a horizon where no K works at the present guess.
HOPELESS = 1e3
#: Beyond so many steps one more or less is below the value's error: K is then found to this relative one.
COUNTED, NOISE = 1e10, 1e-9
#: No K is looked for beyond: η³ is then near the end of doubles.
MOST = 1e90
#: Horizons looked at together, where they are tallied and where they are summed one by one.
WIDE, NARROW = 25, 9
#: log K is settled within this, by the power law; horizons are near enough to a parabola's within that, and so is
#: the bracket's part.
SETTLED, CLOSE, BENDS = 0.1, 0.012, 60.0
#: Where more steps than this are needed the power law holds from above well enough for a window.
LAWFUL = 3000.0
#: Within this the power law is a straight line in log K, whose slope two looks measure.
LINEAR = 0.25
#: How often the same horizons are looked at before the search closes in anyway.
LOOKS = 8
#: Where horizons of equal steps are looked at around the best, in parts of a window, and what makes the polynomial
#: through what is found there.
PLACES = np.cos(np.pi * np.arange(8, -1, -1) / 8)
FIT, HALF_FIT = (np.linalg.inv(np.vander(places, increasing=True)) for places in (PLACES, PLACES[::2]))
#: By how much every other one of them may say another log K: to be believed, and to be a smooth curve at all.
AGREED, SMOOTH = 3e-5, 1e-2
GLANCED = np.linspace(-1.0, 1.0, 201)
#: What log K may be off by there: where the power law alone says the rest, and where its slope was measured.
ALMOST, OFF = 4e-3, 0.05
#: The power law comes from infinity as K^{−1}, or K^{−1/2}: between.
RISES = 0.75


def predicted(v: Value, K: float, eps: float, order: float) -> float:
    """K for ε from one evaluation: constant + x·linear + x²·fast + (start² + x²squared²)^{1/2} = ε, the law of
    `Value`, is solved for x, and x = (K/K_ε)^order."""
    A = eps - v.constant
    if A <= 0.0 or v.squared_start >= A or not v.discretisation < 1e100:
        return math.inf
    linear, squared, fast = v.linear / A, v.squared / A, v.fast / A
    begun = v.squared_start / A
    room = 1.0 - begun**2
    inside = linear**2 + (squared**2 - linear**2) * room
    power = (linear + math.sqrt(max(inside, 0.0))) / room
    if fast:  # Newton's method in x, from where fast is 0 or alone, downward: what is solved is convex
        x = min(1.0 / power if power else math.inf, 1.0 / math.sqrt(fast))
        for _ in range(12):
            root = math.hypot(begun, squared * x)
            over = (linear + fast * x) * x + root - 1.0
            slope = linear + 2.0 * fast * x + (squared**2 * x / root if root else 0.0)
            x -= over / slope
            if abs(over) <= 1e-15:
                break
        power = 1.0 / x
    if power <= 0.0:
        return 1.0
    log_K = math.log(K) + math.log(power) / order
    return math.exp(log_K) if log_K < 300.0 else math.inf


def _of_equal_steps(
    criterion: Criterion,
    eps: float,
    order: float,
    bracket: tuple[float, float],
    at: float,
    log_K: float,
    reach: float,
    length_of: Callable[[float], float],
    quality: Quality,
) -> tuple[float, float, float] | None:
    """The best horizon u near one, within ``reach``, log K there and the ``rise`` of `solve_K`, from passes over horizons
    whose steps are equally long; None where K is not near enough to a power law or the best is not inside."""
    measured: tuple[float, float] | None = None  # log K and what the law made of it, at the new ``at``
    for _ in range(4):
        reach = min(reach, at - bracket[0], bracket[1] - at)
        if not reach > 0.0:
            return None
        u = at + reach * PLACES
        logs = np.log([length_of(float(v)) for v in u])
        tried = log_K + logs - logs[PLACES.size // 2]
        K = np.exp(tried)
        needed = np.array(
            [predicted(v, k, eps, order) for v, k in zip(criterion(u, K, quality), K.tolist(), strict=True)]
        )
        if not np.isfinite(needed).all():
            return None
        law = np.log(needed)
        off = float((law - tried)[PLACES.size // 2])
        # how fast what the law says moves with the K that it is asked at
        rise = -RISES * off if measured is None else (log_K + off - measured[1]) / (log_K - measured[0])
        cost = tried + (law - tried) / (1.0 - rise)
        on_grid = np.polynomial.polynomial.polyval(GLANCED, FIT @ cost)
        i = int(np.argmin(on_grid))
        edge = not 0 < i < GLANCED.size - 1
        x = float(GLANCED[i]) if edge else vertex(GLANCED[i - 1 : i + 2], on_grid[i - 1 : i + 2])
        best = at + reach * x
        apart = abs(
            float(np.polynomial.polynomial.polyval(x, FIT @ cost - np.pad(HALF_FIT @ cost[::2], (0, 4))))
        )
        if apart > SMOOTH:
            return None
        if not edge and apart <= AGREED and abs(off) <= (ALMOST if measured is None else OFF):
            return best, float(np.polynomial.polynomial.polyval(x, FIT @ cost)), rise
        here, said = (float(np.polynomial.polynomial.polyval(x, FIT @ values)) for values in (tried, law))
        at, log_K = best, said
        measured = (here, said) if abs(said - here) > 1e-6 else None
        reach = reach if apart <= AGREED else 0.3 * reach
    return None


def solve_K(
    criterion: Criterion, T: float, K: float, eps: float, order: float, rise: float = 0.0
) -> tuple[int, Value]:
    """The smallest K on the decreasing branch at this T, from a guess; its value is `CHECKED`
    beyond `SUMMED`, where its error is not 0. ``rise``: how fast log of what the power law says moves with log K."""

    known: dict[float, Value] = {}

    def at(k: float, quality: Quality) -> Value:
        k = float(int(k)) if k <= SUMMED else k
        if k not in known:
            known[k] = value_at(criterion, T, k, quality)
        return known[k]

    k = max(float(math.ceil(min(K, MOST))), 1.0)
    v = at(k, FINE)
    before: tuple[float, float] | None = None
    for _ in range(40):
        law = max(predicted(v, k, eps, order), 1.0)
        new = 2.0 * k
        if math.isfinite(law):
            off = math.log(law / k)
            if before is not None and abs(math.log(k) - before[0]) > 1e-8:
                rise = (off + math.log(k) - before[1]) / (math.log(k) - before[0])
            before = math.log(k), math.log(law)
            new = k * math.exp(min(off / (1.0 - min(max(rise, -0.5), 0.5)), 2.0))
        if k > COUNTED:  # within its noise, and on the side that works
            new *= 1.0 + 0.2 * NOISE
        new = float(min(max(new, 0.25 * k), 4.0 * k, MOST))
        new = math.ceil(new) if new < 1e15 else new
        # so near the law says of the next step whether it works
        if new == k and NEAR <= k <= COUNTED and v.total <= eps and law - (k - 1.0) > DOUBT:
            return int(k), v
        if new == k or (k > COUNTED and abs(new - k) <= NOISE * k):
            break
        previous, k = k, new
        last = (k - previous) ** 2 < DOUBT * k or (k > COUNTED and abs(k - previous) < NEARLY * k)
        v = at(k, CHECKED if last else FINE)
        if abs(previous - k) <= 1.0 and not (NEAR <= k <= COUNTED):
            break
    k = float(math.ceil(k))
    v = at(k, FINE)
    # the edge lies between a K that fails and one that works: double away from here, then halve
    fine = 1.0 if k <= COUNTED else NOISE * k
    step, works, fails = fine, k, k
    while not v.total <= eps:
        fails, works = works, works + step
        if works > MOST:
            raise cut_off(eps, v, MOST)
        step, v = 2.0 * step, at(works, FINE)
    step = fine
    while fine == 1.0 and works == k and works > 1.0 and fails == k:
        lower = max(works - step, 1.0)
        less = at(lower, FINE)
        if not less.total <= eps:
            fails = lower
            break
        works, k, fails, v, step = lower, lower, lower, less, 2.0 * step
    while works - fails > fine and works > 1.0:
        middle = math.floor(0.5 * (works + fails)) if fine == 1.0 else 0.5 * (works + fails)
        candidate = at(middle, FINE)
        if candidate.total <= eps:
            works, v = middle, candidate
        else:
            fails = middle
    return int(works), v


def cut_off(eps: float, v: Value, K: float) -> Unreachable:
    """Where no more steps are looked at: a floor only where the limit K → ∞ is one."""
    if v.limit >= eps and math.isfinite(v.limit):
        return Unreachable(eps, v.limit, "start and score error at this T")
    limit = f" (which tends to {v.limit:.6g} as K grows)" if math.isfinite(v.limit) else ""
    return Unreachable.beyond(eps, v.total, f"K = {min(K, MOST):.3g} steps", f"the bound{limit}")


def _secant(
    x: Array, off: Array, before: tuple[Array, Array] | None, slope: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """d off/d log K of each horizon, from its last two K, and whether it is: −1 where the power law is exact, −2 where the bound
    falls twice as fast as its limit, as Theorem 1's does while M_1ηG dominates."""
    if before is None:
        return slope, np.zeros(x.size, bool)
    step = x - before[0]
    known = np.isfinite(off) & np.isfinite(before[1]) & (np.abs(step) > 1e-6)
    change = np.subtract(off, before[1], where=known, out=np.zeros(off.size))
    return np.where(known, np.clip(change / np.where(known, step, 1.0), -3.0, -0.6), slope), known


def search(
    criterion: Criterion,
    eps: float,
    order: float,
    bracket: tuple[float, float],
    guess: float,
    length_of: Callable[[float], float],
) -> tuple[int, float, Value]:
    """The smallest K over the horizons u in the bracket, and that u; the criterion takes u for T. ``guess``: K at the
    longest; ``length_of``: what K steps share at u."""
    lo, hi = bracket

    def alike(u: Array, i: int, log_K: float) -> Array:
        """log K of steps as long as those of horizon i with K: then one pass over the longest serves them all."""
        logs = np.log([length_of(float(at)) for at in u])
        return np.maximum(log_K + logs - logs[i], 0.0)

    # the start's share falls by 1e-4 over the bracket: what bends K over T may be as narrow
    close = min(CLOSE, (hi - lo) / BENDS)
    u = np.linspace(lo, hi, WIDE)
    log_K = alike(u, -1, math.log(guess))
    # far above its K a bound falls by the power law, and far below it no T works
    slope, before = np.full(u.size, -1.0 if order <= 1.0 else -1.6), None
    best, found, looks, lost = 0.5 * (lo + hi), math.log(guess), 0, True
    last: tuple[float, float] | None = None  # log K and what it was off by at the best of the window before
    tries, rise = 0, 0.0
    # look at several T at once, each with a K of its own; close in on the best once its K settles
    for _ in range(60):
        K = np.exp(log_K)
        values = criterion(u, K, COARSE)
        needed = np.array([predicted(v, float(k), eps, order) for v, k in zip(values, K, strict=True)])
        hope = np.isfinite(needed)
        off = np.log(needed, where=hope, out=np.full(u.size, np.inf)) - log_K
        if not hope.any():  # K is too small everywhere, or a hypothesis asks for more steps
            tries += 1
            log_K, before = log_K + max(1, tries - 8) * math.log(8.0), None
            if tries == 20 or log_K.min() > math.log(MOST):
                break
            continue
        lost = False
        slope, measured = _secant(log_K, off, before, slope)
        if (
            last is not None and hope.all()
        ):  # the slope between two windows, one for all: what varies moves the vertex
            here = np.interp(best, u, log_K), np.interp(best, u, off)
            if abs(here[0] - last[0]) > SETTLED:
                slope = np.full(u.size, np.clip((here[1] - last[1]) / (here[0] - last[0]), -3.0, -0.6))
                measured = hope
        last = None
        before = log_K, off
        cost = log_K - np.where(hope, off / slope, -HOPELESS)
        i = int(np.argmin(cost))
        best, found = float(u[i]), max(float(cost[i]), 0.0)
        if off[i] <= 0.0 and log_K[i] == 0.0:  # one step is enough
            break
        spacing = float(u[1] - u[0])
        near = slice(max(i - 1, 0), i + 2)
        inside = 0 < i < u.size - 1
        if inside and hope[near].all() and spacing >= close and cost[i] > math.log(LAWFUL):
            quality = SOUGHT if cost[i] > math.log(4.0 * SUMMED) else COARSE
            place, reach = vertex(u[near], cost[near]), 1.1 * spacing
            seen = _of_equal_steps(criterion, eps, order, bracket, place, found, reach, length_of, quality)
            if seen is not None:
                best, found, rise = seen
                break
        best = vertex(u[near], cost[near]) if inside and hope[near].all() else float(u[i])
        # K is a whole number: where it is small it cannot settle; far above what is needed the law holds
        looks, settled = looks + 1, np.abs(off) <= SETTLED + math.exp(-log_K[i])
        settled |= measured & (np.abs(off) <= LINEAR)
        if spacing >= close and cost[i] > math.log(LAWFUL) and (slope[near] == -1.0).all():
            settled |= off < 0.0
        # a window is placed by its best, and closed around it by its neighbours as well
        judged = slice(i, i + 1) if spacing >= close else near
        if looks < LOOKS and not settled[judged][hope[judged]].all():
            # where no K works yet that is not far above the best, a larger one may
            stuck = ~hope & (log_K > cost[i] + 7.0)
            raised = log_K + np.where(stuck, 0.0, math.log(8.0))
            each = np.maximum(np.where(hope, cost, raised), 0.0)
            log_K = alike(u, i, float(cost[i])) if hope.all() else each
            continue
        if inside or u[i] in (lo, hi):
            if spacing < close:
                break
            width = 2.2 * spacing
        else:  # look on, beyond the window's end
            width = float(u[-1] - u[0])
        left = min(max(best - 0.5 * width, lo), max(hi - width, lo))
        known, known_K, costs, slopes = u[hope], log_K[hope], cost[hope], slope[hope]
        # equal steps are quick; but what is off must not vary with T where the last window's vertex decides
        quick = found > math.log(LAWFUL) and width / (WIDE - 1) >= close
        u = np.linspace(left, min(left + width, hi), WIDE if quick else NARROW)
        log_K, slope, before = (
            np.maximum(np.interp(u, known, costs), 0.0),
            np.interp(u, known, slopes),
            None,
        )
        last = float(np.interp(best, known, known_K)), float(np.interp(best, known, off[hope]))
        if quick:
            i = int(np.argmin(np.abs(u - best)))
            log_K = alike(u, i, float(log_K[i]))
        looks = 0
    if lost:
        least = min(values, key=lambda v: v.total)
        raise cut_off(eps, least, float(K[0]))
    if found > math.log(MOST):
        raise cut_off(eps, value_at(criterion, best, MOST, FINE), MOST)
    k, v = solve_K(criterion, best, math.exp(found), eps, order, rise)
    if k <= 4096:
        return _polish(criterion, eps, bracket, best, k, v)
    return k, best, v


def _polish(
    criterion: Criterion, eps: float, limits: tuple[float, float], u: float, k: int, v: Value
) -> tuple[int, float, Value]:
    """For small K the power law is rough: lower K one by one while some T works."""
    while k > 1:
        at = _lowest(criterion, float(k - 1), u, limits)
        fewer = value_at(criterion, at, float(k - 1), FINE)
        if not fewer.total <= eps:
            break
        u, k, v = at, k - 1, fewer
        smaller, better = solve_K(criterion, u, float(k), eps, 1.0)
        if smaller < k:
            k, v = smaller, better
    return k, u, v


def _lowest(criterion: Criterion, K: float, u: float, limits: tuple[float, float]) -> float:
    """The horizon with the smallest value at this K, from one near it: vertices of three parabolas, ever
    narrower where they are inside."""
    reach = 0.05
    for _ in range(8):
        x = np.clip(u + reach * np.array([-1.0, 0.0, 1.0]), *limits)
        y = np.array([value.total for value in criterion(x, np.full(3, K), COARSE)])
        if not np.isfinite(y).all():
            return float(x[int(np.argmin(y))])
        inside = bool(y[1] <= y[0] and y[1] <= y[2])
        u = vertex(x, y)
        if inside:
            if reach < 0.02:
                break
            reach *= 0.2
    return u

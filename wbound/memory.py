"""What fits into memory: sizes that a user asks for are refused before anything is allocated."""

from __future__ import annotations

import contextlib
from pathlib import Path

from wbound.errors import BadInput, count

__all__ = ["available", "dimension", "fits"]

#: Sizes below this (bytes) are not worth a look at the machine.
SMALL = 1e8
#: Share of the memory that a single request may take.
SHARE = 0.8
#: What is left in any case, in bytes.
PAGE = 4096.0
#: Bytes that an exact law or a sample takes for a dimension: a dozen arrays (d,).
EACH = 100.0


def available() -> float:
    """Bytes that this process can still take: of the machine, of its control group and of its own limit
    (``ulimit -v``) where there are any."""
    import psutil

    found = float(psutil.virtual_memory().available)  # counts what caches would give back
    # absent, or "max": no limit of its own
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        allowed, used = (float((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        found = min(found, allowed - used)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            found = min(found, float(limit - psutil.Process().memory_info().vms))
    return max(found, PAGE)


def fits(option: str, value: int, each: float, why: str = "") -> None:
    """Refuse ``value`` of things that take ``each`` bytes where they would not fit. Raises `BadInput`, which
    says how many would."""
    need = float(value) * each
    if need <= SMALL:
        return
    limit = SHARE * available()
    if need > limit:
        told = f"must be at most {max(int(limit / each), 1)}: it would take {1e-9 * need:.3g} GB of memory"
        raise BadInput(option, value, told + (f" ({why})" if why else ""))


def dimension(value: float, option: str = "d") -> int:
    """``value`` as a dimension d ≥ 1 of which arrays (d,) fit into memory. Raises `BadInput`."""
    d = count(option, value)
    fits(option, d, EACH, "arrays of d numbers")
    return d

"""Packages that come with an extra of the installation: a missing one is named with the extra that brings it.

``pip install wbound`` brings what bounds, tables, exact laws and tapes need; setup.cfg lists the extras.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec

from wbound.errors import WboundError

__all__ = ["MissingLibrary", "installed", "needing"]


class MissingLibrary(WboundError, ImportError):
    """An optional package is not installed; the message says which command installs it."""


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Imports of packages that come with ``extra``. Raises `MissingLibrary`, which names the missing one."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingLibrary(f"{error.name} is not installed: pip install 'wbound[{extra}]'") from None


@cache
def installed(package: str) -> bool:
    """Whether a package is there, for code that has another way without it."""
    return find_spec(package) is not None

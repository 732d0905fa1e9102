"""Certificates: a bound with error bars that ball arithmetic proves."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where the names of this room's front door are made; they are looked up when first used.
_HOME = {
    "ALLOWED": "wbound.certified.certificate",
    "BITS": "wbound.certified.certificate",
    "Certificate": "wbound.certified.certificate",
    "DOUBLINGS": "wbound.certified.certificate",
    "Inputs": "wbound.certified.certificate",
    "OMEGA_RTOL": "wbound.certified.certificate",
    "TIGHT": "wbound.certified.certificate",
    "UNPROTECTED": "wbound.certified.certificate",
    "WIDE": "wbound.certified.certificate",
    "certify": "wbound.certified.certificate",
    "prove": "wbound.certified.certificate",
    "verify": "wbound.certified.certificate",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

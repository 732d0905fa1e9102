"""Certificates: a bound with error bars that ball arithmetic proves."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "wbound.certified.certificate": (
            "ALLOWED BITS Certificate DOUBLINGS Inputs TIGHT UNPROTECTED WIDE certify prove verify"
        ),
        "wbound.certified.totals": "OMEGA_RTOL",
    },
)

"""Grids placed by a criterion: the optimal clock's and numerical ones.

Schedules from the data's spectrum, by other criteria: Sabour et al. (arXiv 2404.14507), Benita, Elad & Keshet
(2502.00180), Sun, Poor & Zhang (2601.13602). See docs/theory.md, section 13.
"""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(__name__, {})

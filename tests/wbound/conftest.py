"""Lets the test files here share `referee`, `checks` and what other files define (the tests are no package)."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, *sorted(f for f in HERE.iterdir() if f.is_dir())):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

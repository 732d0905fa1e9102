"""The oldest versions that setup.cfg allows, as constraints for pip: ``tools/oldest.py [EXTRA ...] > FILE``.

Every range's lower bound becomes a pin; what tests and tools need keeps the pins of constraints.txt, since
those are not what a user installs.
"""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: A requirement: its name, and the version after >=.
RANGE = re.compile(r"^([A-Za-z0-9._-]+)\s*>=\s*([0-9][0-9A-Za-z.]*)")

#: Extras of this package that an extra names.
OURS = re.compile(r"^wbound\[([a-z0-9,]+)\]$", re.M)


def oldest(extras: list[str]) -> list[str]:
    """``name==version`` for each requirement of the package and of the extras, in their order."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    groups, asked = [config["options"]["install_requires"]], list(extras)
    for extra in asked:  # which grows by the extras that an extra names
        groups.append(config["options.extras_require"][extra])
        asked += [e for named in OURS.findall(groups[-1]) for e in named.split(",") if e not in asked]
    pins = {}
    for line in "\n".join(groups).splitlines():
        text = line.partition("#")[0].strip()
        if not text or OURS.match(text):
            continue
        found = RANGE.match(text)
        if found is None:
            raise SystemExit(f"tools/oldest.py: no lower bound in setup.cfg: {text}")
        pins[f"{found[1]}=={found[2]}"] = None  # once, of extras that share it
    return list(pins)


def tools(pins: list[str]) -> list[str]:
    """The pins of constraints.txt for all that ``pins`` does not speak of."""
    held = {_key(pin) for pin in pins}
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    given = [line.partition("#")[0].strip() for line in lines]
    return [pin for pin in given if pin and _key(pin) not in held]


def _key(pin: str) -> str:
    return re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower()


if __name__ == "__main__":
    lowest = oldest(sys.argv[1:])
    print("\n".join([*lowest, *tools(lowest)]))

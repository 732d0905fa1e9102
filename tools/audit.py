"""What is installed, and whether any of it has a known vulnerability: ``tools/audit.py PYTHON SBOM``.

Writes the software bill of materials of PYTHON's environment (CycloneDX, JSON), then asks pip-audit about every
package in it. Exit codes: 0 all were checked and none is known to be vulnerable; 1 one is; 2 not all could be
checked. A service that knows nothing would find nothing wrong with anything: it has to name the vulnerability
of an old release first.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

#: A release with vulnerabilities that every service has known since 2020 and 2021.
KNOWN = "jinja2==2.11.2"
OURS = ("wbound",)


def bill(python: str, target: Path) -> dict[str, Any]:
    """Write the bill of materials of an environment, and return it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [*_tool("cyclonedx_py"), "environment", "--output-reproducible", "-o", str(target), python]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"audit: no bill of materials: {_last(done.stderr)}")
    return dict(json.loads(target.read_text("utf-8")))


def pins(sbom: dict[str, Any]) -> list[str]:
    """``name==version`` of the packages of a bill of materials, without this project."""
    held = sbom.get("components", [])
    return sorted(f"{c['name']}=={c['version']}" for c in held if c["name"].lower() not in OURS)


def asked(packages: list[str]) -> dict[str, Any] | str:
    """pip-audit's answer about packages, or why there is none."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "requirements.txt")
        listed.write_text("\n".join(packages) + "\n", "utf-8")
        command = [*_tool("pip_audit"), "-r", str(listed), "--no-deps", "--disable-pip", "-f", "json"]
        done = subprocess.run(
            [*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False
        )
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        return _last(done.stderr)


def verdict(canary: dict[str, Any] | str, answer: dict[str, Any] | str, count: int) -> tuple[int, list[str]]:
    """The exit code and what to say of pip-audit's answers: about `KNOWN`, and about ``count`` packages."""
    for reply in (canary, answer):
        if isinstance(reply, str):
            return 2, [f"audit: NOTHING WAS CHECKED: the vulnerability service cannot be reached ({reply})"]
    assert isinstance(canary, dict) and isinstance(answer, dict)
    if not any(d.get("vulns") for d in canary.get("dependencies", [])):
        return 2, [
            f"audit: NOTHING WAS CHECKED: the vulnerability service cannot be reached (what answers in its place "
            f"knows nothing of {KNOWN})"
        ]
    found = answer.get("dependencies", [])
    lines = [
        f"audit: {d['name']} {d['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no release'}"
        for d in found
        for v in d.get("vulns", [])
    ]
    if lines:
        return 1, lines
    left = sorted(d["name"] for d in found if "skip_reason" in d)
    if left or len(found) < count:
        return 2, [f"audit: {len(left) or count - len(found)} of {count} packages were NOT CHECKED: "
                   + (", ".join(left) or "there is no answer about them")]  # fmt: skip
    return 0, [f"audit: {count} packages, no known vulnerability"]


def _tool(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _last(text: str) -> str:
    return next((line.strip()[:200] for line in reversed(text.splitlines()) if line.strip()), "no answer")


def main(python: str, target: str) -> int:
    """Bill, then audit; says where the bill is, whatever the audit says."""
    packages = pins(bill(python, Path(target)))
    print(f"wrote {target}: {len(packages)} packages")
    canary = asked([KNOWN])
    code, lines = verdict(canary, asked(packages) if isinstance(canary, dict) else canary, len(packages))
    print("\n".join(lines), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

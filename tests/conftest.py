"""What every test runs under: profiles of the random search, a headless plotting backend, loud skips.

How many examples: a test that wants more or fewer than the profile's default takes a multiple of it,
``@settings(max_examples=20 * settings.default.max_examples)``: 2,000 in ``make test`` (profile ``ci``,
the same examples every time) and 100,000 in ``make deep`` (profile ``deep``, new ones every time).
A test marked ``deep`` runs in ``make deep`` only.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

# Before anything imports numpy or matplotlib. One BLAS thread a worker: the workers share the cores.
os.environ.setdefault("MPLBACKEND", "agg")
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

import signal
import threading

import pytest
from hypothesis import HealthCheck, settings

# A shell that starts us in the background ignores SIGINT, and every child would inherit that: tests of Ctrl-C
# need the ordinary disposition.
if (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):
    signal.signal(signal.SIGINT, signal.default_int_handler)

DEEP = os.environ.get("WBOUND_DEEP", "") not in ("", "0")
STRICT_SKIPS = os.environ.get("WBOUND_STRICT_SKIPS", "") not in ("", "0")

#: What may be missing where skips are forbidden.
ALLOWED_SKIPS = ("GPU", "make k-diffusion")

_common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("ci", max_examples=100, derandomize=True, database=None, **_common)
settings.register_profile("deep", max_examples=5_000, **_common)
settings.load_profile("deep" if DEEP else "ci")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests marked ``deep`` unless WBOUND_DEEP is set; the closing line counts them. Those marked ``long``
    come first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    if DEEP:
        return
    left_out = [item for item in items if item.get_closest_marker("deep")]
    if left_out:
        items[:] = [item for item in items if not item.get_closest_marker("deep")]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    """Close the figures that a test left open, without importing matplotlib for those that do not draw."""
    yield
    import sys

    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")


def _skip_reasons(reporter: pytest.TerminalReporter) -> Counter[str]:
    """How many tests skipped, by reason."""
    reasons: Counter[str] = Counter()
    for report in reporter.stats.get("skipped", []):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[text.removeprefix("Skipped: ")] += 1
    return reasons


def _not_allowed(reasons: Counter[str]) -> list[str]:
    """The reasons that WBOUND_STRICT_SKIPS forbids: all but a missing GPU, and k-diffusion, which is no extra."""
    return [
        reason for reason in reasons if STRICT_SKIPS and not any(word in reason for word in ALLOWED_SKIPS)
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud how close the bounds came to the exact laws, and what was not tested."""
    ratios = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "smallest ratio" and getattr(report, "when", "") == "call"
    ]
    if ratios:
        terminalreporter.section("smallest ratio bound / exact")
        for line in sorted(map(str, ratios)):
            terminalreporter.line(line if len(line) <= 200 else line[:197] + "...")
    reasons = _skip_reasons(terminalreporter)
    if not reasons:
        return
    terminalreporter.section(f"NOT TESTED: {sum(reasons.values())} skipped")
    for reason, count in reasons.most_common():
        verdict = "  <- not allowed here" if reason in _not_allowed(reasons) else ""
        terminalreporter.line(f"{count:5d}  {reason}{verdict}")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run when a test skipped for a reason that is not allowed here."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # A worker of xdist has no reporter, and the controller sees every report.
    if reporter is not None and exitstatus == 0 and _not_allowed(_skip_reasons(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

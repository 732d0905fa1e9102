"""What the packages call exists on every platform that setup.cfg claims, and belongs to what its library offers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(path for name in ("wbound", "numerics") for path in (ROOT / name).rglob("*.py"))
ALL = [
    *PACKAGES,
    *sorted(p for name in ("tests", "docs", "benchmarks", "tools") for p in (ROOT / name).rglob("*.py")),
]

#: Missing on one of Linux, macOS and Windows.
_MODULES = "fcntl resource pwd grp termios tty pty posix syslog crypt spwd winreg winsound _winapi"
_OF_OS = """
    sched_getaffinity sched_setaffinity sched_yield sysconf sysconf_names fork forkpty getuid geteuid getgid getegid
    getgroups getpgid getpgrp getsid setsid setpgid setuid killpg nice uname statvfs mkfifo mknod chown lchown chroot
    fchown fchmod getloadavg getpriority setpriority wait wait3 wait4 waitid WNOHANG WIFEXITED posix_spawn posix_fadvise
    posix_fallocate pread pwrite preadv pwritev sendfile sync openpty ttyname memfd_create pidfd_open startfile
"""
_OF_SIGNAL = """
    SIGKILL SIGALRM SIGPROF SIGHUP SIGUSR1 SIGUSR2 SIGCHLD SIGPIPE SIGQUIT setitimer alarm pause pthread_kill
    pthread_sigmask sigwait siginterrupt
"""
MODULES, OF_OS, OF_SIGNAL = (frozenset(words.split()) for words in (_MODULES, _OF_OS, _OF_SIGNAL))
#: Public in spite of their names.
NAMED_SO = {("os", "_exit"), ("sys", "_getframe")}


def _guarded(tree: ast.AST) -> set[int]:
    """Nodes where a missing module or name is expected: try/except and suppress of its error, and hasattr."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        kept: list[ast.AST] = []
        if isinstance(node, ast.Try):
            said = " ".join(ast.unparse(h.type) if h.type else "ImportError" for h in node.handlers)
            if "ImportError" in said or "AttributeError" in said:
                # what the handler does instead is the other platform's
                kept = [*node.body, *node.handlers]
        elif isinstance(node, ast.With):
            if any(
                "suppress" in (said := ast.unparse(i.context_expr)) and "ImportError" in said
                for i in node.items
            ):
                kept = list(node.body)
        elif isinstance(node, ast.If | ast.IfExp) and "hasattr" in ast.unparse(node.test):
            kept = [node]
        inside |= {id(part) for top in kept for part in ast.walk(top)}
    return inside


def missing(source: str) -> Iterator[str]:
    """What a source uses, unguarded, that a platform lacks."""
    tree = ast.parse(source)
    inside = _guarded(tree)
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = [a.name for a in node.names]
            if module.partition(".")[0] in MODULES or MODULES & {
                n.partition(".")[0] for n in names if not module
            }:
                yield f"{node.lineno}: {ast.unparse(node)}"
            if module in ("os", "signal") and (OF_OS | OF_SIGNAL) & set(names):
                yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            lacking = {"os": OF_OS, "signal": OF_SIGNAL}.get(node.value.id, frozenset())
            if node.attr in lacking:
                yield f"{node.lineno}: {ast.unparse(node)}"


def _private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def borrowed(source: str) -> Iterator[str]:
    """What a source takes of other projects that they do not offer: private names, and code that they vendor."""
    own = ("wbound", "numerics")
    modules: dict[str, str] = {}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                modules[alias.asname or whole] = whole
                if not alias.name.startswith(own) and _hidden(alias.name):
                    yield f"{node.lineno}: {alias.name}"
        elif (
            isinstance(node, ast.ImportFrom)
            and node.level == 0
            and node.module
            and not node.module.startswith(own)
        ):
            for alias in node.names:
                if node.module != "__future__" and _hidden(f"{node.module}.{alias.name}"):
                    yield f"{node.lineno}: {node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _private(node.attr) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id, "wbound")
            if not module.startswith(own) and (module, node.attr) not in NAMED_SO:
                yield f"{node.lineno}: {module}.{node.attr}"


def _hidden(dotted: str) -> bool:
    return any(_private(part) or part in ("externals", "vendor", "vendored") for part in dotted.split("."))


@pytest.mark.parametrize("path", PACKAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_is_missing_elsewhere(path: Path) -> None:
    assert not list(missing(path.read_text("utf-8")))


@pytest.mark.parametrize("path", ALL, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_private_is_borrowed(path: Path) -> None:
    assert not list(borrowed(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.sched_getaffinity(0)",
        "import os\nx = os.sysconf('SC_PAGE_SIZE')",
        "from os import fork",
        "import fcntl",
        "from resource import getrlimit",
        "import signal\nsignal.setitimer(signal.ITIMER_REAL, 1)",
        "try:\n    x = 1\nexcept OSError:\n    import fcntl",
    ],
)
def test_what_is_missing_elsewhere_is_found(source: str) -> None:
    assert list(missing(source))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle._Unpickler",
        "from pickle import _Pickler",
        "from joblib.externals.loky import ProcessPoolExecutor",
        "import joblib.externals",
        "import scipy.optimize._optimize as o",
        "import numpy as np\nnp._core",
        "from pip._vendor import rich",
    ],
)
def test_what_is_borrowed_is_found(source: str) -> None:
    assert list(borrowed(source))


def test_what_is_guarded_or_offered_passes() -> None:
    guarded = "try:\n    import fcntl\nexcept ImportError:\n    import msvcrt\nif hasattr(os, 'fork'):\n    os.fork()"
    assert not list(missing(guarded))
    assert not list(
        borrowed("import os\nos._exit(1)\nself._x\nfrom numerics.samplers.plans import _y\nnp.__version__")
    )

"""A ranking of schedules as plain values: the rows, what they are about, and what they do not say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numerics.schedules.candidates import seen_as
from numerics.schedules.schedule_formats import FORMS
from numerics.schedules.schedule_object import Schedule, ve, vp
from numerics.targets.datasets import Dataset
from wbound import Process
from wbound.calculus.notebook import html_table
from wbound.errors import BadInput
from wbound.extras import needing
from wbound.sampler.scheme import scheme_named
from wbound.sampler.tape import Tape
from wbound.typing import Array

if TYPE_CHECKING:
    import pandas

__all__ = ["MOST_STEPS", "Choice", "Ranking"]


#: K beyond which `choose` gives no number of steps.
MOST_STEPS = 5000


@dataclass(frozen=True, eq=False)
class Choice:
    """One row of the ranking. W2 in x, not squared.

    ``error`` ranks: W2 from p_T plus W2 between the outputs of the two starts (≥ ``w2``, which starts from
    the prior and can be tuned to nearly 0 by T alone, section 6). ``scheme``: the sampler, which asks for the score
    ``calls`` times. ``process`` is "any" where the scheme sees the clock alone; ``T`` is then None and
    ``sigma_max`` = √λ(T) says where the sampler starts. ``parameters``: the process's. ``steps``: the least K
    whose error is ≤ ε, None where ε was not given or K would exceed `MOST_STEPS`. ``kind``: "named",
    "numerical" (optimised node by node) or "given" (a schedule of the user's, or a
    ``tape``, whose row is judged from its own start).
    """

    rank: int
    process: str
    grid: str
    scheme: str
    kind: str
    K: int
    T: float | None
    sigma_max: float
    parameters: dict[str, float]
    error: float
    w2: float
    w2_exact_start: float
    start_share: float
    factor: float
    steps: int | None
    log_lam: Array = field(repr=False)
    made_by: Process | None = field(repr=False, default=None)
    limit: str | None = None
    last_decade: float | None = None
    tape: Tape | None = field(repr=False, default=None)

    @property
    def calls(self) -> int:
        """How often the score is asked for: K, for schemes of two stages 2K − 1 or 2K."""
        if self.tape is not None:
            return self.tape.K
        return scheme_named(self.scheme).calls(self.K)

    @property
    def schedule(self) -> Schedule:
        """The row as a schedule, to be written for other samplers (`numerics.schedules.schedule_formats.export`).
        Raises `BadInput` for a tape, which is no schedule."""
        if self.tape is not None:
            raise BadInput("row", self.process, "is a tape, which no schedule says: it is saved as it is")
        return Schedule(
            f"{self.process} on {self.grid}",
            self.log_lam,
            self.made_by or (vp() if seen_as(self.scheme, None) == self.scheme else ve()),
        )

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms (`numerics.schedules.schedule_formats.FORMS`) that mean this row: all where the scheme sees the clock alone;
        else sigmas for VE, and for VP those that a variance-preserving sampler reads."""
        if self.tape is not None:
            return ()
        p = self.made_by
        if seen_as(self.scheme, p) == self.scheme:
            return tuple(form for form in FORMS if form != "times" or p is not None)
        if p is None or p.family == "ve":
            return ("sigmas",) if p is None else ("sigmas", "times")
        preserving = p.kappa is not None and abs(p.kappa - 1.0) < 1e-12
        return ("betas", "alphas_cumprod", "times", "timesteps") if preserving else ("times",)

    def to_dict(self) -> dict[str, Any]:
        """The attributes that are plain values; ``schedule`` holds the nodes."""
        plain = {k: v for k, v in vars(self).items() if k not in ("log_lam", "made_by", "schedule", "tape")}
        return plain | {"calls": self.calls}


@dataclass(frozen=True, eq=False)
class Ranking:
    """The rows, best first, with what they are about and what they do not say (``limits``)."""

    rows: tuple[Choice, ...]
    data: Dataset
    scheme: str
    steps: int
    eps: float | None
    limits: tuple[str, ...]
    seconds: float

    @property
    def best(self) -> Choice:
        return self.rows[0]

    @property
    def best_named(self) -> Choice:
        """The best row that is neither numerically optimised nor the user's."""
        return next(row for row in self.rows if row.kind == "named")

    def to_frame(self) -> pandas.DataFrame:
        """The rows as a pandas table, best first, W2 in x; ``parameters`` are one column."""
        with needing("data"):
            import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.rows]).set_index("rank")

    def _repr_html_(self, most: int = 12) -> str:
        heads = ("rank", "sampler", "schedule", "process", "calls", "σ_max", "W2", "× best")
        rows = [
            (r.rank, r.scheme, r.grid, r.process, r.calls, r.sigma_max, r.error, r.factor)
            for r in self.rows[:most]
        ]
        more = f" (the best {most} of {len(self.rows)})" if len(self.rows) > most else ""
        return html_table(f"Schedules for {self.data.name}, exact W2 of its Gaussian{more}", rows, heads)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "data": self.data.to_dict(),
            "scheme": self.scheme,
            "steps": self.steps,
            "eps": self.eps,
            "eps_rel": None if self.eps is None else self.eps / self.data.spread,
            "limits": list(self.limits),
            "seconds": self.seconds,
            "rows": [row.to_dict() for row in self.rows],
        }

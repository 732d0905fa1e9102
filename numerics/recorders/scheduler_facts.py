"""Facts of the library's schedulers, from real runs: W2 at a few numbers of steps, order and least, by configuration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from numerics.recorders.diffusers_schedulers import plan_of, record_plan
from numerics.recorders.recording import NotRecorded
from numerics.recorders.scheduler_source import diffusers_library, quiet
from wbound.errors import count
from wbound.exact.law_of_tape import tape_law
from wbound.extras import needing

__all__ = ["CASES", "SHOWN", "VARIANCES", "Case", "all_facts", "fact"]


#: The variances on which they are judged, and the numbers of steps of the table.
VARIANCES = (4.0, 1.0, 0.25, 0.04, 0.01)
SHOWN = (10, 20, 50, 1000)
#: The order is fitted over these.
FITTED = (25, 50, 100)

LIN: dict[str, Any] = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
SD: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
TRAININGS = {"LIN": LIN, "SD": SD, "": {}}


@dataclass(frozen=True)
class Case:
    """A scheduler, the training it is of (LIN, SD, or its own) and what else differs from its defaults."""

    scheduler: str
    training: str
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        said = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.scheduler} {self.training} {said}".strip()


def _cases() -> Iterable[Case]:
    off = {"clip_sample": False}
    options: dict[str, Any]
    for training in ("LIN", "SD"):
        for spacing in ("leading", "linspace", "trailing"):
            yield Case("DDIMScheduler", training, {**off, "timestep_spacing": spacing})
    yield Case("DDPMScheduler", "SD", {**off, "variance_type": "fixed_small"})
    yield Case("DDPMScheduler", "SD", {**off, "variance_type": "fixed_large"})
    for options in ({}, {"use_karras_sigmas": True}, {"interpolation_type": "log_linear"}, {"s_churn": 5.0}):
        yield Case("EulerDiscreteScheduler", "LIN", options)
    yield Case("EulerAncestralDiscreteScheduler", "SD", {})
    for training in ("LIN", "SD"):
        yield Case("HeunDiscreteScheduler", training, {})
    yield Case("KDPM2DiscreteScheduler", "SD", {})
    for options in (
        {},
        {"timestep_spacing": "trailing"},
        {"use_karras_sigmas": True},
        {"use_exponential_sigmas": True},
        {"use_lu_lambdas": True},
        {"euler_at_final": True},
        {"final_sigmas_type": "sigma_min"},
        {"solver_order": 3},
        {"algorithm_type": "sde-dpmsolver++"},
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 3},
    ):
        yield Case("DPMSolverMultistepScheduler", "SD", options)
    yield Case("DPMSolverSinglestepScheduler", "SD", {})
    yield Case("DPMSolverSDEScheduler", "LIN", {})
    for options in ({}, {"use_karras_sigmas": True}):
        yield Case("LMSDiscreteScheduler", "LIN", options)
    for options in ({}, {"use_karras_sigmas": True}, {"solver_order": 3}):
        yield Case("DEISMultistepScheduler", "SD", options)
    for training in ("LIN", "SD"):
        yield Case("UniPCMultistepScheduler", training, {})
    for options in ({"use_karras_sigmas": True}, {"solver_type": "bh1"}):
        yield Case("UniPCMultistepScheduler", "LIN", options)
    for options in ({}, {"prediction_type": "v_prediction"}):
        yield Case("PNDMScheduler", "LIN", {"skip_prk_steps": True, **options})
    yield Case("EDMEulerScheduler", "", {})
    yield Case("EDMDPMSolverMultistepScheduler", "", {})
    for shift in (1.0, 3.0):
        yield Case("FlowMatchEulerDiscreteScheduler", "", {"shift": shift})
    yield Case("FlowMatchHeunDiscreteScheduler", "", {})


#: Every row of the page.
CASES: tuple[Case, ...] = tuple(_cases())


def fact(case: Case, steps: Iterable[int] = (*SHOWN, *FITTED)) -> dict[str, Any]:
    """A row: ``w2`` and ``calls`` by number of steps (W2, not squared, of what the scheduler returns from its own
    start), ``failed`` by those at which it returns NaN or raises, in the library's words. *exact* on N(0, diag `VARIANCES`).

    ``order``: −log(W2 at 100 / W2 at 25)/log 4, None where it does not fall over 25, 50, 100 or one is missing;
    ``least`` and ``least_at``: the least of all.
    """
    w2: dict[str, float] = {}
    calls: dict[str, int] = {}
    failed: dict[str, str] = {}
    changes = {**TRAININGS[case.training], **case.options}
    with quiet():
        for K in sorted(set(steps)):
            try:
                tape = record_plan(plan_of(case.scheduler, K, changes=changes), trials=K <= 50)
            except NotRecorded as error:
                failed[str(K)] = error.said
                continue
            w2[str(K)] = tape_law(tape, np.array(VARIANCES), output="raw").w2()
            calls[str(K)] = tape.K
    fitted = [w2.get(str(K), math.nan) for K in FITTED]
    falls = fitted[0] > fitted[1] > fitted[2] > 0.0
    at = min(w2, key=lambda K: w2[K], default=None)
    return {
        "name": case.name,
        "scheduler": case.scheduler,
        "training": case.training,
        "options": dict(case.options),
        "w2": w2,
        "calls": calls,
        "failed": failed,
        "order": math.log(fitted[0] / fitted[2]) / math.log(4.0) if falls else None,
        "least": None if at is None else w2[at],
        "least_at": None if at is None else int(at),
    }


def all_facts(jobs: int = 1) -> dict[str, Any]:
    """Every row of `CASES`, made by so many processes, with the versions that they hold for. Raises `Missing`."""
    library = diffusers_library()
    import torch

    with needing("samplers"):
        from joblib import Parallel, delayed

    rows = Parallel(n_jobs=count("jobs", jobs))(delayed(fact)(case) for case in CASES)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {
            "diffusers": library.__version__,
            "torch": torch.__version__.partition("+")[0],
        },
        "variances": list(VARIANCES),
        "shown": list(SHOWN),
        "rows": rows,
    }

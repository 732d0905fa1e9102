"""The whole space of classes, keys, spacings and numbers of steps: the right values come from the library itself.

A drawn configuration is run by the library on Gaussian coordinates, and its tape has to have that law; and it is read as a
schedule, which has to be the library's own ``sigmas``, or its table at its own ``timesteps``.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.recorders.callables import record
from numerics.recorders.scheduler_nodes import schedule_of_diffusers
from wbound.errors import WboundError
from wbound.exact.law_of_tape import tape_law

pytest.importorskip("diffusers")
if (HERE := str(Path(__file__).resolve().parent)) not in sys.path:  # the tests are no package
    sys.path.insert(0, HERE)

from real_runs import run_real

LIN = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}
Drawn = tuple[str, dict[str, Any], int, float]

SPACINGS = [{}, {"use_karras_sigmas": True}, {"use_exponential_sigmas": True}, {"use_beta_sigmas": True}]
PREDICTIONS = ["epsilon", "v_prediction", "sample"]
TWO = ["epsilon", "v_prediction"]
ORDERS: dict[str, list[Any]] = {"solver_order": [1, 2, 3], "final_sigmas_type": ["zero", "sigma_min"]}
SPACE: dict[str, dict[str, list[Any]]] = {
    "DDIMScheduler": {
        "prediction_type": PREDICTIONS,
        "clip_sample": [False],
        "set_alpha_to_one": [True, False],
        "steps_offset": [0, 1],
        "rescale_betas_zero_snr": [False, True],
    },
    "DDIMParallelScheduler": {"prediction_type": PREDICTIONS, "clip_sample": [False]},
    "PNDMScheduler": {
        "prediction_type": TWO,
        "skip_prk_steps": [True, False],
        "set_alpha_to_one": [True, False],
        "steps_offset": [0, 1],
    },
    "EulerDiscreteScheduler": {
        "prediction_type": TWO,
        "sigmas": SPACINGS,
        "interpolation_type": ["linear", "log_linear"],
        "steps_offset": [0, 1],
        "timestep_type": ["discrete", "continuous"],
        "final_sigmas_type": ["zero", "sigma_min"],
    },
    "HeunDiscreteScheduler": {"prediction_type": TWO, "sigmas": SPACINGS, "steps_offset": [0, 1]},
    "KDPM2DiscreteScheduler": {"prediction_type": TWO, "sigmas": SPACINGS, "steps_offset": [0, 1]},
    "LMSDiscreteScheduler": {"prediction_type": TWO, "sigmas": SPACINGS},
    "DPMSolverMultistepScheduler": {
        "prediction_type": PREDICTIONS,
        "sigmas": [*SPACINGS, {"use_lu_lambdas": True}],
        "algorithm_type": ["dpmsolver++", "dpmsolver"],
        "solver_type": ["midpoint", "heun"],
        "lower_order_final": [True, False],
        "euler_at_final": [False, True],
        "rescale_betas_zero_snr": [False, True],
        **ORDERS,
    },
    "DPMSolverSinglestepScheduler": {
        "prediction_type": PREDICTIONS,
        "sigmas": SPACINGS,
        "algorithm_type": ["dpmsolver++", "dpmsolver"],
        "solver_type": ["midpoint", "heun"],
        **ORDERS,
    },
    "DEISMultistepScheduler": {"prediction_type": PREDICTIONS, "sigmas": SPACINGS, "solver_order": [1, 2, 3]},
    "UniPCMultistepScheduler": {
        "prediction_type": PREDICTIONS,
        "sigmas": SPACINGS,
        "solver_type": ["bh1", "bh2"],
        "predict_x0": [True, False],
        "disable_corrector": [[], [0, 1]],
        "rescale_betas_zero_snr": [False, True],
        **ORDERS,
    },
    "EDMEulerScheduler": {
        "prediction_type": TWO,
        "sigma_schedule": ["karras", "exponential"],
        "sigma_max": [80.0, 20.0],
        "final_sigmas_type": ["zero", "sigma_min"],
    },
    "EDMDPMSolverMultistepScheduler": {
        "prediction_type": TWO,
        "sigma_schedule": ["karras", "exponential"],
        **ORDERS,
    },
    "FlowMatchEulerDiscreteScheduler": {"shift": [1.0, 3.0], "sigmas": SPACINGS},
    "FlowMatchHeunDiscreteScheduler": {"shift": [1.0, 3.0]},
}
#: These can run on flow times.
FLOWS = ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler")
NO_TABLE = ("EDM", "FlowMatch")


@st.composite
def plans(draw: Callable[..., Any]) -> Drawn:
    """A class, a configuration, K and a mean."""
    kind = draw(st.sampled_from(sorted(SPACE)))
    config: dict[str, Any] = {}
    for key, values in SPACE[kind].items():
        value = draw(st.sampled_from(values))
        config.update(value if key == "sigmas" else {key: value})
    if not kind.startswith(NO_TABLE):
        config |= draw(st.sampled_from([LIN, SD, COSINE]))
        if kind != "DPMSolverSinglestepScheduler":
            config["timestep_spacing"] = draw(st.sampled_from(["leading", "linspace", "trailing"]))
        if kind in FLOWS and draw(st.integers(0, 3)) == 0:
            placing = ("use_lu_lambdas", *(k for s in SPACINGS for k in s))
            config = {k: v for k, v in config.items() if k not in placing}
            config |= {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
            config["flow_shift"] = draw(st.sampled_from([1.0, 3.0]))
    return kind, config, draw(st.integers(1, 40)), draw(st.sampled_from([0.0, 1.5]))


def compare(kind: str, config: dict[str, Any], K: int, mean: float, seed: int = 0, **how: Any) -> str:
    """Law and real run agree, or both are refused: "agree" or "refused"."""
    import torch

    v = np.array([9.0, 1.0, 0.3, 0.01])
    said: Exception | None = None
    try:
        tape = record(kind, K, changes=config, **how)
    except WboundError as error:
        said = error
    try:
        torch.manual_seed(seed)
        base = run_real(kind, config, K, v, mean, np.zeros((1, v.size)), stepping=how)[0]
        one = run_real(kind, config, K, v, mean, stepping=how)[0]
        works = bool(np.isfinite(base).all() and np.isfinite(one).all())
    except Exception:
        works = False
    where = (kind, config, K, mean)
    assert works == (said is None), (*where, str(said))
    if said is not None:
        return "refused"
    law = tape_law(tape, v, output="raw")
    # a state in single precision loses so much of its size: the tape does not
    scale = max(1.0, float(np.abs(one).max())) + 1e-3 * math.sqrt(min(tape.start_level, 1e10))
    assert np.abs(one - base - law.gain * tape.start_std).max() <= 2e-5 * scale, where
    assert np.abs(base - law.mean_gain * mean - law.mean_offset).max() <= 2e-5 * scale, where
    return "agree"


# ---------------------------------------------------------------------- as a schedule


def laid_out(kind: str, config: dict[str, Any], K: int) -> np.ndarray | None:
    """λ at each of the library's own steps, and after them; None where it raises or lays out NaN."""
    import diffusers

    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        warnings.simplefilter("ignore")
        try:
            scheduler = getattr(diffusers, kind)(**config)
            scheduler.set_timesteps(K)
        except Exception:
            return None
        if hasattr(scheduler, "sigmas"):
            n = None if kind.startswith("KDPM2") else len(scheduler.timesteps) + 1
            sigmas = scheduler.sigmas.double().numpy()[:n]  # log_linear has one more, which no step reaches
            flow = config.get("use_flow_sigmas") or kind.startswith("FlowMatch")
            lam = (sigmas / (1.0 - sigmas) if flow else sigmas) ** 2
        else:
            bar = scheduler.alphas_cumprod.double().numpy()
            kept = np.append(
                bar[scheduler.timesteps.numpy()], float(getattr(scheduler, "final_alpha_cumprod", 1.0))
            )
            lam = (1.0 - kept) / kept
    return None if np.isnan(lam).any() else lam


def read_as_the_library_lays_it_out(kind: str, config: dict[str, Any], K: int) -> str:
    where = (kind, config, K)
    lam = laid_out(kind, config, K)
    said: Exception | None = None
    try:
        s = schedule_of_diffusers({"_class_name": kind, **config}, K)
    except WboundError as error:
        said = error
    steps, end = (np.zeros(0), 0.0) if lam is None else (lam[:-1], float(lam[-1]))
    levels = np.unique(steps[np.isfinite(steps)])[::-1]
    twice = lam is not None and np.unique(steps).size < min(K, steps.size)
    if lam is None or (np.diff(steps) > 0.0).any() or twice or not (levels > end).any():
        assert said is not None, where
        return "refused"
    assert said is None, (*where, str(said))
    words = " ".join(s.notes)
    assert ("pure noise" in words) == bool(np.isinf(steps[0])), where
    assert ("ends above zero" in words) == s.stopped_early, where
    if kind.startswith(TABLED) and s.lam[-1] != pytest.approx(end, rel=1e-9):
        # its own table does not say where its last step lands: its own run does
        config = config | ({"clip_sample": False} if kind.startswith("DDIM") else {})
        assert s.lam[-1] == pytest.approx(record(kind, K, changes=config).level_out, rel=0.05, abs=2e-5), (
            where
        )
        end = float(s.lam[-1])
    np.testing.assert_allclose(s.lam, np.append(levels[levels > end], end), rtol=1e-9)
    return "agree"


#: Without sigmas of their own.
TABLED = ("DDIM", "PNDM")


# ---------------------------------------------------------------------- the searches


def search(of: Callable[[Drawn], str], examples: int) -> None:
    """All drawn plans agree with the library or are refused as it refuses them; at least half agree."""
    said: list[str] = []

    @settings(max_examples=examples)
    @given(plan=plans())
    def each(plan: Drawn) -> None:
        said.append(of(plan))

    each()
    assert said.count("agree") >= len(said) // 2 >= 10


def test_the_law_of_a_tape_is_what_the_library_does() -> None:
    search(lambda plan: compare(*plan), settings.default.max_examples // 4)


def test_a_configuration_is_read_as_the_library_lays_it_out() -> None:
    search(lambda plan: read_as_the_library_lays_it_out(*plan[:3]), settings.default.max_examples // 2)

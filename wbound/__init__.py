"""wbound: W2 bounds, iteration complexities and exact laws of diffusion samplers, for any forward SDE dX = −f(t)X dt + g(t)dB.

Names are found when first used, so that what is not used costs no time and needs no package. Those of `numerics`
are among them: a program that imports `wbound` alone has every public name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wbound.moved import front_door as _front_door

if TYPE_CHECKING:
    from numerics import transport
    from numerics.laws.sde_on_line import law1d_w2
    from numerics.recorders.callables import record
    from numerics.samplers.sampling import coupled_exact, coupled_paths, sample
    from numerics.targets.products import Gaussian, LogCosh, ProductTarget, SymmetricMixture
    from numerics.verification.verdict import verify
    from wbound.bounds.root_floor import absolute_floor
    from wbound.bounds.theorem_6 import affine_floor, affine_iterations
    from wbound.certified.affine import AffineCertificate, certify_affine
    from wbound.certified.certificate import Certificate, certify
    from wbound.complexity.least_steps import Iterations, exact_iterations, iterations
    from wbound.complexity.order_formulas import Orders
    from wbound.complexity.orders_measured import measured_orders, orders
    from wbound.complexity.orders_published import compare, published_orders
    from wbound.complexity.orders_table import order_rows
    from wbound.complexity.tables import complexity_table, scheme_table
    from wbound.complexity.tolerance_search import score_tolerance
    from wbound.complexity.worst_spectrum import worst_iterations
    from wbound.data.beyond_log_concave import CurvatureProfile, bounded_data, early_stopped
    from wbound.data.curvature import Curvature
    from wbound.data.log_concave import LogConcave
    from wbound.design.phase_design import phase_sampler
    from wbound.design.placed_numerically import NumericalGrid, grid_gaps, numerical_grid, optimal_grid
    from wbound.design.schedule_of_sigmas import sigmas
    from wbound.errors import BadInput, HypothesisFailed, Inconsistent, IOFailure, Unreachable, WboundError
    from wbound.exact.ddim_angles import ddim_floor, ddim_iterations
    from wbound.exact.floor import LowerBound, lower_bound
    from wbound.exact.gaussian_law import exact_w2
    from wbound.exact.law_of_tape import TapeLaw, tape_law
    from wbound.exact.leading_order import Leading, leading_constants
    from wbound.exact.random_midpoint import RandomMidpointLaw, random_midpoint_law
    from wbound.extras import MissingLibrary
    from wbound.forward.catalogue import CATALOGUE, NAMED, PUBLISHED, process
    from wbound.forward.forward_process import Process
    from wbound.sampler.grid import GRIDS, Grid, Nodes
    from wbound.sampler.make_setting import Setting, setting
    from wbound.sampler.multistep import MULTISTEP, Multistep
    from wbound.sampler.scheme import RANDOM_TIMES, SCHEMES, Scheme, Steps
    from wbound.sampler.tape import Tape
    from wbound.sampler.tape_of_scheme import tape_of
    from wbound.statement.statement_object import Bound, Statement
    from wbound.theory.statements import STATEMENTS, w2_bound

_HOME, _found, __dir__ = _front_door(
    __name__,
    {
        "numerics.laws.sde_on_line": "law1d_w2",
        "numerics.recorders.callables": "record",
        "numerics.samplers.sampling": "coupled_exact coupled_paths sample",
        "numerics.targets.products": "Gaussian LogCosh ProductTarget SymmetricMixture",
        "numerics.verification.verdict": "verify",
        "numerics": "transport",
        "wbound.bounds.root_floor": "absolute_floor",
        "wbound.bounds.theorem_6": "affine_floor affine_iterations",
        "wbound.certified.affine": "AffineCertificate certify_affine",
        "wbound.certified.certificate": "Certificate certify",
        "wbound.complexity.least_steps": "Iterations exact_iterations iterations",
        "wbound.complexity.order_formulas": "Orders",
        "wbound.complexity.orders_measured": "measured_orders orders",
        "wbound.complexity.orders_published": "compare published_orders",
        "wbound.complexity.orders_table": "order_rows",
        "wbound.complexity.tables": "complexity_table scheme_table",
        "wbound.complexity.tolerance_search": "score_tolerance",
        "wbound.complexity.worst_spectrum": "worst_iterations",
        "wbound.data.beyond_log_concave": "CurvatureProfile bounded_data early_stopped",
        "wbound.data.curvature": "Curvature",
        "wbound.data.log_concave": "LogConcave",
        "wbound.design.phase_design": "phase_sampler",
        "wbound.design.placed_numerically": "NumericalGrid grid_gaps numerical_grid optimal_grid",
        "wbound.design.schedule_of_sigmas": "sigmas",
        "wbound.errors": "BadInput HypothesisFailed Inconsistent IOFailure Unreachable WboundError",
        "wbound.exact.ddim_angles": "ddim_floor ddim_iterations",
        "wbound.exact.floor": "LowerBound lower_bound",
        "wbound.exact.gaussian_law": "exact_w2",
        "wbound.exact.law_of_tape": "TapeLaw tape_law",
        "wbound.exact.leading_order": "Leading leading_constants",
        "wbound.exact.random_midpoint": "RandomMidpointLaw random_midpoint_law",
        "wbound.extras": "MissingLibrary",
        "wbound.forward.catalogue": "CATALOGUE NAMED PUBLISHED process",
        "wbound.forward.forward_process": "Process",
        "wbound.sampler.grid": "GRIDS Grid Nodes",
        "wbound.sampler.make_setting": "Setting setting",
        "wbound.sampler.multistep": "MULTISTEP Multistep",
        "wbound.sampler.scheme": "RANDOM_TIMES SCHEMES Scheme Steps",
        "wbound.sampler.tape": "Tape",
        "wbound.sampler.tape_of_scheme": "tape_of",
        "wbound.statement.statement_object": "Bound Statement",
        "wbound.theory.statements": "STATEMENTS w2_bound",
    },
)
__all__ = [
    "CATALOGUE",
    "GRIDS",
    "MULTISTEP",
    "NAMED",
    "PUBLISHED",
    "RANDOM_TIMES",
    "SCHEMES",
    "STATEMENTS",
    "AffineCertificate",
    "BadInput",
    "Bound",
    "Certificate",
    "Curvature",
    "CurvatureProfile",
    "Gaussian",
    "Grid",
    "HypothesisFailed",
    "IOFailure",
    "Inconsistent",
    "Iterations",
    "Leading",
    "LogConcave",
    "LogCosh",
    "LowerBound",
    "MissingLibrary",
    "Multistep",
    "Nodes",
    "NumericalGrid",
    "Orders",
    "Process",
    "ProductTarget",
    "RandomMidpointLaw",
    "Scheme",
    "Setting",
    "Statement",
    "Steps",
    "SymmetricMixture",
    "Tape",
    "TapeLaw",
    "Unreachable",
    "WboundError",
    "absolute_floor",
    "affine_floor",
    "affine_iterations",
    "bounded_data",
    "certify",
    "certify_affine",
    "compare",
    "complexity_table",
    "coupled_exact",
    "coupled_paths",
    "ddim_floor",
    "ddim_iterations",
    "early_stopped",
    "exact_iterations",
    "exact_w2",
    "grid_gaps",
    "iterations",
    "law1d_w2",
    "leading_constants",
    "lower_bound",
    "measured_orders",
    "numerical_grid",
    "optimal_grid",
    "order_rows",
    "orders",
    "phase_sampler",
    "process",
    "published_orders",
    "random_midpoint_law",
    "record",
    "sample",
    "scheme_table",
    "score_tolerance",
    "setting",
    "sigmas",
    "tape_law",
    "tape_of",
    "transport",
    "verify",
    "w2_bound",
    "worst_iterations",
]
if not TYPE_CHECKING:  # which knows the names from above, and no other
    __getattr__ = _found

__version__ = "0.1.0"

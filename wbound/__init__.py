"""wbound: W2 bounds, iteration complexities and exact laws of diffusion samplers, for any forward SDE dX = −f(t)X dt + g(t)dB."""

from typing import TYPE_CHECKING

from wbound import moved as _moved
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
from wbound.exact.law_of_tape import TapeLaw, tape_law
from wbound.exact.leading_order import Leading, leading_constants
from wbound.forward.catalogue import CATALOGUE, NAMED, PUBLISHED, process
from wbound.forward.forward_process import Process
from wbound.sampler.ddim_variants import ddim_inflated, ddim_shifted
from wbound.sampler.grid import GRIDS, Grid, Nodes
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.multistep import MULTISTEP, Multistep
from wbound.sampler.scheme import SCHEMES, Scheme, Steps
from wbound.sampler.tape import Tape
from wbound.sampler.tape_of_scheme import tape_of
from wbound.statement.statement_object import Bound, Statement
from wbound.theory.statements import STATEMENTS, w2_bound

__version__ = "0.1.0"

__all__ = [
    "CATALOGUE",
    "GRIDS",
    "MULTISTEP",
    "NAMED",
    "PUBLISHED",
    "SCHEMES",
    "STATEMENTS",
    "AffineCertificate",
    "BadInput",
    "Bound",
    "Certificate",
    "Curvature",
    "CurvatureProfile",
    "Grid",
    "HypothesisFailed",
    "IOFailure",
    "Inconsistent",
    "Iterations",
    "Leading",
    "LogConcave",
    "LowerBound",
    "Multistep",
    "Nodes",
    "NumericalGrid",
    "Orders",
    "Process",
    "Scheme",
    "Setting",
    "Statement",
    "Steps",
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
    "ddim_floor",
    "ddim_inflated",
    "ddim_iterations",
    "ddim_shifted",
    "early_stopped",
    "exact_iterations",
    "grid_gaps",
    "iterations",
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
    "scheme_table",
    "score_tolerance",
    "setting",
    "sigmas",
    "tape_law",
    "tape_of",
    "w2_bound",
    "worst_iterations",
]


if not TYPE_CHECKING:  # a module's old name after ``import wbound`` alone

    def __getattr__(name: str) -> object:
        if f"{__name__}.{name}" in _moved.MOVED:
            from importlib import import_module

            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

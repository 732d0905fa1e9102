"""wbound: W2 bounds, iteration complexities and exact laws of diffusion samplers, for any forward SDE."""

from typing import TYPE_CHECKING

from wbound import moved as _moved
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
from wbound.design.placed_numerically import NumericalGrid, grid_gaps, numerical_grid, optimal_grid
from wbound.errors import BadInput, HypothesisFailed, Inconsistent, IOFailure, Unreachable, WboundError
from wbound.exact.floor import LowerBound, lower_bound
from wbound.exact.leading_order import Leading, leading_constants
from wbound.forward.catalogue import CATALOGUE, NAMED, PUBLISHED, process
from wbound.forward.forward_process import Process
from wbound.sampler.grid import GRIDS, Grid, Nodes
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import SCHEMES, Scheme, Steps
from wbound.statement.statement_object import Bound, Statement
from wbound.theory.statements import STATEMENTS, w2_bound

__version__ = "0.1.0"

__all__ = [
    "CATALOGUE",
    "GRIDS",
    "NAMED",
    "PUBLISHED",
    "SCHEMES",
    "STATEMENTS",
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
    "Nodes",
    "NumericalGrid",
    "Orders",
    "Process",
    "Scheme",
    "Setting",
    "Statement",
    "Steps",
    "Unreachable",
    "WboundError",
    "bounded_data",
    "certify",
    "compare",
    "complexity_table",
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
    "process",
    "published_orders",
    "scheme_table",
    "score_tolerance",
    "setting",
    "w2_bound",
    "worst_iterations",
]


if not TYPE_CHECKING:  # a module's old name after ``import wbound`` alone

    def __getattr__(name: str) -> object:
        if f"{__name__}.{name}" in _moved.MOVED:
            from importlib import import_module

            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

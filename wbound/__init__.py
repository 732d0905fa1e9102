"""wbound: W2 bounds, iteration complexities and exact laws of diffusion samplers, for any forward SDE."""

from wbound.catalogue import CATALOGUE, PUBLISHED, process
from wbound.clock import Grid, Nodes
from wbound.data import Curvature, LogConcave
from wbound.errors import BadInput, HypothesisFailed, Inconsistent, IOFailure, Unreachable, WboundError
from wbound.forward import Process
from wbound.gaussian import LowerBound, lower_bound
from wbound.schemes import SCHEMES, Scheme, Steps
from wbound.setting import Bound, Setting, Statement, setting
from wbound.statements import STATEMENTS, w2_bound

__version__ = "0.1.0"

__all__ = [
    "CATALOGUE",
    "PUBLISHED",
    "SCHEMES",
    "STATEMENTS",
    "BadInput",
    "Bound",
    "Curvature",
    "Grid",
    "HypothesisFailed",
    "IOFailure",
    "Inconsistent",
    "LogConcave",
    "LowerBound",
    "Nodes",
    "Process",
    "Scheme",
    "Setting",
    "Statement",
    "Steps",
    "Unreachable",
    "WboundError",
    "lower_bound",
    "process",
    "setting",
    "w2_bound",
]

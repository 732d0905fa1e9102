"""The report: one self-contained page, its numbers as JSON, its curves as CSV."""

from numerics.report.blocks import Part, Section
from numerics.report.contents import SECTIONS
from numerics.report.page import build

__all__ = ["SECTIONS", "Part", "Section", "build"]

"""The report: one self-contained page, its numbers as JSON, its curves as CSV."""

from numerics.report.page import build
from numerics.report.blocks import Part, Section
from numerics.report.contents import SECTIONS

__all__ = ["SECTIONS", "Part", "Section", "build"]

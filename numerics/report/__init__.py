"""The report: one self-contained page, its numbers as JSON, its curves as CSV."""

from numerics.report.build import build
from numerics.report.parts import Part, Section
from numerics.report.sections import SECTIONS

__all__ = ["SECTIONS", "Part", "Section", "build"]

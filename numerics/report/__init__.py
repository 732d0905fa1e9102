"""The report: one self-contained page, its numbers as JSON, its curves as CSV."""

from wbound.extras import needing

with needing("report"):
    import jinja2  # noqa: F401  (the page is a template, with figures)
    import matplotlib  # noqa: F401

from numerics.report.blocks import Part, Section
from numerics.report.contents import SECTIONS
from numerics.report.page import build

__all__ = ["SECTIONS", "Part", "Section", "build"]

"""Where modules were before the rooms, as in `wbound.moved`, which is imported once an old name is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["ELSEWHERE", "MOVED"]

#: Old dotted name → new one.
MOVED: dict[str, str] = {
    "numerics.agreement": "numerics.verification.law_test",
    "numerics.bures": "numerics.transport.gaussians",
    "numerics.candidates": "numerics.schedules.candidates",
    "numerics.choose": "numerics.schedules.choice",
    "numerics.cifar10.clocks": "numerics.cifar10.processes",
    "numerics.cifar10.compare": "numerics.cifar10.comparison",
    "numerics.cifar10.eight": "numerics.cifar10.comparison_runs",
    "numerics.cifar10.gaussians": "numerics.cifar10.gaussian_images",
    "numerics.cifar10.presenting": "numerics.cifar10.comparison_output",
    "numerics.cifar10.scoreerror": "numerics.cifar10.network_error",
    "numerics.cli.beyond": "numerics.cli.commands.score_error",
    "numerics.cli.bound": "numerics.cli.commands.bound",
    "numerics.cli.certify": "numerics.cli.commands.certify",
    "numerics.cli.check": "numerics.cli.commands.check",
    "numerics.cli.choose": "numerics.cli.commands.choose",
    "numerics.cli.cifar10": "numerics.cli.commands.cifar10_train",
    "numerics.cli.cifar10_run": "numerics.cli.commands.cifar10_measure",
    "numerics.cli.closed_form": "wbound.forward.closed_forms",
    "numerics.cli.complexity": "numerics.cli.commands.complexity",
    "numerics.cli.curve": "numerics.cli.commands.curve",
    "numerics.cli.gap": "numerics.cli.commands.gap",
    "numerics.cli.lower": "numerics.cli.commands.lower_bound",
    "numerics.cli.optimal": "numerics.cli.commands.optimal",
    "numerics.cli.orders": "numerics.cli.commands.orders",
    "numerics.cli.processes": "numerics.cli.commands.processes",
    "numerics.cli.report": "numerics.cli.commands.report",
    "numerics.cli.schedule": "numerics.cli.commands.schedule",
    "numerics.cli.schemes": "numerics.cli.commands.schemes",
    "numerics.cli.search": "numerics.cli.commands.search",
    "numerics.cli.sources": "numerics.cli.data_options",
    "numerics.cli.statements": "numerics.cli.commands.statements",
    "numerics.cli.sweep": "numerics.cli.commands.sweep",
    "numerics.cli.targets": "numerics.cli.target_options",
    "numerics.cli.terms": "numerics.cli.explained_terms",
    "numerics.cli.verify": "numerics.cli.commands.verify",
    "numerics.clockwork": "numerics.schedules.grid_comparison",
    "numerics.coupling": "numerics.samplers.coupled_plans",
    "numerics.curves": "numerics.studies.curves",
    "numerics.datasets": "numerics.targets.datasets",
    "numerics.densities": "numerics.laws.density",
    "numerics.doctor": "numerics.schedules.doctor",
    "numerics.drawing": "numerics.figures.style",
    "numerics.fading": "numerics.studies.score_error",
    "numerics.files": "numerics.io.writing",
    "numerics.floorcheck": "numerics.studies.lower_bound",
    "numerics.flow1d": "numerics.laws.ode_on_line",
    "numerics.gap": "numerics.studies.gap",
    "numerics.heldout": "numerics.verification.held_out_samples",
    "numerics.kernels": "numerics.samplers.kernels",
    "numerics.landscape": "numerics.studies.exact_over_horizons",
    "numerics.law1d": "numerics.laws.sde_on_line",
    "numerics.lines": "numerics.targets.line_laws",
    "numerics.loading": "numerics.io.reading",
    "numerics.locks": "numerics.io.locks",
    "numerics.matrix": "numerics.verification.matrix",
    "numerics.mixtures": "numerics.targets.mixtures",
    "numerics.needed": "numerics.studies.steps_needed",
    "numerics.panels": "numerics.figures.schedules",
    "numerics.plans": "numerics.samplers.plans",
    "numerics.potentials": "numerics.transport.potentials",
    "numerics.pushed": "numerics.laws.mapped_density",
    "numerics.quantiles": "numerics.transport.quantiles",
    "numerics.ranking": "numerics.schedules.ranking",
    "numerics.report.bounds": "numerics.report.sections.bounds",
    "numerics.report.build": "numerics.report.page",
    "numerics.report.cancellation": "numerics.report.sections.cancellation",
    "numerics.report.chooser": "numerics.report.sections.schedules",
    "numerics.report.clocks": "numerics.report.sections.clocks",
    "numerics.report.columns": "numerics.report.sections.orders",
    "numerics.report.digits": "numerics.report.sections.digits",
    "numerics.report.environment": "numerics.report.sections.environment",
    "numerics.report.fades": "numerics.report.sections.score_error",
    "numerics.report.formulas": "numerics.report.javascript",
    "numerics.report.gap": "numerics.report.sections.gap",
    "numerics.report.lower": "numerics.report.sections.lower_bound",
    "numerics.report.matrix": "numerics.report.sections.verification",
    "numerics.report.orders": "numerics.report.sections.complexity",
    "numerics.report.parts": "numerics.report.blocks",
    "numerics.report.search": "numerics.report.sections.search",
    "numerics.report.smoothed": "numerics.report.sections.smoothed",
    "numerics.report.summary": "numerics.report.sections.summary",
    "numerics.report.versus": "numerics.report.sections.sde_or_ode",
    "numerics.scatter": "numerics.verification.theorem_3_at_random",
    "numerics.scheduler_config": "numerics.schedules.diffusers_config",
    "numerics.search": "numerics.verification.counterexamples",
    "numerics.smoothing": "numerics.targets.smooth_law",
    "numerics.sweep_cells": "numerics.sweep.cells",
    "numerics.sweep_config": "numerics.sweep.config",
    "numerics.tabulation": "numerics.targets.quintic_table",
    "numerics.terminal": "numerics.io.terminal",
    "numerics.threecolumn": "numerics.tables.orders",
    "numerics.tiles": "numerics.io.image_files",
    "numerics.typeset": "numerics.tables.complexity",
    "numerics.verdict": "numerics.verification.verdict",
}

#: Names that are in another file than the rest of their old module.
ELSEWHERE: dict[str, dict[str, str]] = {
    "numerics.quantiles": {
        "finite_array": "numerics.io.reading",
    },
    "numerics.drawing": {
        "csv_text": "numerics.io.writing",
        "SUFFIXES": "numerics.figures.output",
        "save": "numerics.figures.output",
        "svg": "numerics.figures.output",
    },
    "numerics.typeset": {
        "formula_text": "numerics.tables.formulas",
        "formula_latex": "numerics.tables.formulas",
        "formula_mathml": "numerics.tables.formulas",
    },
}


class _Finder(MetaPathFinder):
    """Hands an old name on to `wbound.moved`: importing that for every `import numerics` would take its time."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in MOVED:
            return None
        from wbound.moved import MovedFinder

        return MovedFinder(MOVED, ELSEWHERE).find_spec(fullname, path, target)


sys.meta_path.append(_Finder())

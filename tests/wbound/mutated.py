"""What `mutation` makes wrong, who must notice, and what is left out for a reason."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """A mutated module: the files whose tests must notice, and of these the short list tried first."""

    files: str
    short: str


TARGETS: dict[str, Target] = {
    "schemes": Target(
        "test_schemes test_flow test_sharp test_ode",
        "test_schemes.test_coefficients_and_mismatches* test_schemes.test_a_huge* test_flow.test_coefficients*",
    ),
    "sharp": Target(
        "test_sharp test_ode test_profiles test_statements",
        "test_sharp.test_the_total_and_its_parts* test_sharp.test_every_term* test_sharp.test_equation_9*"
        " test_sharp.test_the_noise* test_sharp.test_the_starts test_sharp.test_without* test_sharp.test_contraction*"
        " test_sharp.test_steps_too* test_sharp.test_a_sampler* test_sharp.test_the_weight*",
    ),
    "published": Target(
        "test_published test_statements",
        "test_published.test_the_total_and_its_parts* test_published.test_the_step_size* test_published.test_omega*"
        " test_published.test_its_terms* test_published.test_the_displacement*"
        " test_published.test_the_start*",
    ),
    "ode": Target(
        "test_ode test_sharp",
        "test_ode.test_the_parts* test_ode.test_contraction* test_ode.test_early* test_ode.test_a_sum*",
    ),
    "gaussian": Target(
        "test_gaussian test_flow test_sharp",
        "test_gaussian.test_the_* test_gaussian.test_a_* test_gaussian.test_blocks* test_gaussian.test_clocks*"
        " test_gaussian.test_steps_so* test_gaussian.test_equation_12 test_gaussian.test_figures*",
    ),
    "data": Target(
        "test_data test_profiles test_sharp test_ode test_published",
        "test_data.test_psi* test_data.test_lemma* test_data.test_M1* test_data.test_the* test_data.test_eq*"
        " test_data.test_far* test_data.test_a_* test_data.test_excess* test_profiles.test_*",
    ),
    "flow": Target("test_flow test_ode", "test_flow.test_the_law* test_flow.test_moves*"),
}

#: The recursion that is compiled from its source for many steps: it is watched where it is called.
COMPILED, CALLER = "_recursion", "_evaluate"

#: Functions, and variables in them, that are no formula or whose value does not matter, and why.
PASSED_OVER: dict[str, str] = {
    "schemes.vanishes": "a question",
    "schemes.scheme_named": "a look-up",
    "sharp._compiled": "the recursion's source, compiled",
    "sharp._run": "chooses between the recursion and its compiled twin",
    "sharp.has_ancestral": "a question",
    "sharp.best_theta": "any theta gives a bound",
    "ode.best_theta": "any theta gives a bound",
    "ode.tallied": "the sums' own terms, weighted by a quadrature",
    "gaussian.gaussian_data": "a look-up",
    "gaussian.exact_w2": "the statement by its front door",
    "gaussian.LowerBound.steps": "rounds up",
    "sharp.ancestral": "names the parts, which `ancestral_sums` and `Parts.additive` compute",
    "data.Gaussian._regular": "refuses",
    "data.Gaussian.d": "a look-up",
    "data.LogConcave.M1": "a look-up",
    "data.Gaussian._eigen": "linear algebra, and what counts as zero in it",
    "published._supremum_inside.low": "steers the refinement; the upper end is what is returned",
    "published.moment_supremum.low": "steers the refinement; the upper end is what is returned",
    "published._roughness.kink": "where an integral is split does not change it",
    "published._roughness.first_end": "where an integral is split does not change it",
}

# fmt: off
#: Slow references, computed once for all mutants.
REMEMBERED = (
    "referee.steps", "referee.exact_w2", "referee.theorem1", "referee.theorem2", "referee.ancestral_parts",
    "referee.decay_constant", "referee.psi", "referee.roughness", "referee.displacement2",
    "referee.step_size_ratios", "test_ode.plain_parts", "test_flow.plain_w2",
)
# fmt: on

#: Mutants that change no value, by the beginning of their names, and why.
EQUIVALENT: dict[str, str] = {
    "schemes._ode_ei: `np.sqrt(kappa2)` flipped": "(keep - kappa)(keep + kappa) is even in kappa",
    "flow._heun: `kept` flipped": "the start's error of the mean, all there is, enters by its square",
    "published._roughness: `whole.error`": "an estimate below 1e-11 of the integral, added for caution",
    "published._roughness: `rest.error`": "an estimate below 1e-11 of the integral, added for caution",
    "published.moment_supremum: `np.exp(2.0 * log_a_hi) * M2` late": "cells of a search are no steps",
    "published.moment_supremum: `d * np.exp(2.0 * log_a_hi + log_s_hi)` late": "cells of a search are no steps",
    "published.moment_supremum: `2.0 * log_a_hi` late": "cells of a search are no steps",
    "sharp.local: `np.where(steps.q == 0.0, 0.0, steps.q / (np.sqrt(b.steps.Q) + np.sqrt(steps.Q)))` flipped": "its size",
    "sharp.Sums.parts: `math.inf if start else 0.0` halved": "half of infinity",
    "sharp.Sums.parts: `math.inf` halved": "half of infinity",
    "sharp.Sums.parts: `math.inf` (no. 2) halved": "half of infinity",
    "sharp.Sums.parts: `math.inf if self.M else 0.0` halved": "half of infinity",
    "published._supremum_inside: `np.expm1(log_lo - log_alpha) ** 2 * (size + d * lam_hi)` late": "cells, no steps",
    "published._supremum_inside: `log_lo` late": "cells of a search are no steps",
    "published._supremum_inside: `d * (sigma2 - lam_lo)` late": "cells of a search are no steps",
    "published._supremum_inside: `lam_lo` (no. 2) late": "cells of a search are no steps",
    "published.start_at: `math.sqrt(data.d) * abs(1.0 - sigma2) / (1.0 + math.sqrt(sigma2))` flipped": "its square enters",
    "data.LogConcave.gaussian: `math.sqrt(max(self.second_moment - self.d / self.m0, 0.0))` flipped": "any direction does",
    "data.LogConcave.gaussian: `mean` flipped": "any direction does",
    "data.Gaussian.M1: `a_lo ** 2 * (variances - process.kappa)` late": "cells of a search are no steps",
    "data.Gaussian.M1: `a_hi ** 2 * (variances - process.kappa)` late": "cells of a search are no steps",
    "data.Gaussian.M1: `a_hi * np.maximum(np.abs(low), np.abs(high))` late": "cells of a search are no steps",
    "data.Gaussian.M1: `a_lo * np.maximum(np.maximum(low, -high), 0.0)` late": "cells of a search are no steps",
    "data.Gaussian.M1: `np.sqrt((means2 * size_lo ** 2).sum(axis=0))` late": "cells of a search are no steps",
    "data.Gaussian.M1: `np.sqrt((means2 * size_hi ** 2).sum(axis=0))` late": "cells of a search are no steps",
    "data.Gaussian.M1: `a_hi * np.maximum(np.abs(low), np.abs(high))` flipped": "its square enters",
    "data.Gaussian.M1: `a_lo * np.maximum(np.maximum(low, -high), 0.0)` flipped": "its square enters",
    "sharp.sums: `s.score_noise` flipped": "its square enters",
    "sharp._evaluate: `V` flipped": "its square enters",
    "sharp.ancestral_sums: `math.sqrt(float(terms.noise2.sum()))` flipped": "its square enters",
    "gaussian.defects: `whole - steps.q`": "ddpm alone comes by, and there it is 0 to the last bit",
    "gaussian.law: `1.0 / float(variances.mean()) if variances.any() else 1.0` halved": "a unit, which cancels",
    "gaussian.remaining: `1.0 / float(variances.mean())` halved": "a unit, which cancels",
    "gaussian.law: `np.ones_like(variances)` flipped": "the mean's error enters by its square",
    "gaussian.law: `np.exp(log_P)` flipped": "its square enters",
    "gaussian.law: `(1.0 + c * delta) ** power` flipped": "its square enters, and the square of the mean's error",
    "gaussian.law: `mean` (no. 3) flipped": "the mean's error enters by its square",
    "gaussian._evaluate: `np.where(spread == 0.0, 0.0, np.maximum(excess, -variances) / spread)` flipped": "its square enters",
}

"""What `mutation` makes wrong, who must notice, and what is left out for a reason."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """A mutated module: the files whose tests must notice, and of these the short list tried first."""

    files: str
    short: str


TARGETS: dict[str, Target] = {
    "sampler.scheme": Target(
        "test_scheme test_extremes test_ode_moves test_theorem_2 test_theorem_3 test_own_schemes",
        "test_scheme.test_coefficients_and_mismatches* test_scheme.test_a_huge* test_ode_moves.test_coefficients*"
        " test_scheme.test_what_a_step* test_scheme.test_how_often*"
        " test_own_schemes.test_bare* test_own_schemes.test_two*",
    ),
    "sampler.coefficients": Target(
        "test_own_schemes test_scheme", "test_own_schemes.test_bare* test_own_schemes.test_two*"
    ),
    "bounds.theorem_2": Target(
        "test_theorem_2 test_theorem_3 test_beyond_log_concave test_extremes test_statements test_in_blocks",
        "test_in_blocks.test_blocks* test_theorem_2.test_the_terms* test_theorem_2.test_sums_by*"
        " test_theorem_2.test_the_total_and_its_parts* test_theorem_2.test_every_term* test_theorem_2.test_equation_9*"
        " test_theorem_2.test_the_noise* test_theorem_2.test_the_starts test_theorem_2.test_without*"
        " test_theorem_2.test_contraction*"
        " test_theorem_2.test_steps_too* test_theorem_2.test_a_sampler* test_theorem_2.test_the_weight*",
    ),
    "bounds.ddpm": Target(
        "test_theorem_2 test_theorem_3 test_beyond_log_concave test_extremes test_statements test_in_blocks",
        "test_in_blocks.test_blocks*"
        " test_theorem_2.test_the_total_and_its_parts* test_theorem_2.test_every_term* test_theorem_2.test_equation_9*"
        " test_theorem_2.test_the_noise* test_theorem_2.test_the_starts test_theorem_2.test_without*"
        " test_theorem_2.test_contraction*"
        " test_theorem_2.test_steps_too* test_theorem_2.test_a_sampler* test_theorem_2.test_the_weight*",
    ),
    "bounds.shared": Target(
        "test_theorem_2 test_theorem_3 test_beyond_log_concave test_extremes test_statements",
        "test_theorem_2.test_the_total_and_its_parts* test_theorem_2.test_every_term* test_theorem_2.test_equation_9*"
        " test_theorem_2.test_the_noise* test_theorem_2.test_the_starts test_theorem_2.test_without*"
        " test_theorem_2.test_contraction*"
        " test_theorem_2.test_steps_too* test_theorem_2.test_a_sampler* test_theorem_2.test_the_weight*",
    ),
    "bounds.theorem_1": Target(
        "test_theorem_1 test_statements",
        "test_theorem_1.test_the_total_and_its_parts[[]1] test_theorem_1.test_the_step_size* test_theorem_1.test_omega*"
        " test_theorem_1.test_its_terms* test_theorem_1.test_the_displacement*"
        " test_theorem_1.test_the_start*",
    ),
    "bounds.theorem_3": Target(
        "test_theorem_3 test_theorem_2 test_in_blocks",
        "test_in_blocks.test_blocks*"
        " test_theorem_3.test_the_parts* test_theorem_3.test_contraction* test_theorem_3.test_early* test_theorem_3.test_a_sum*",
    ),
    "exact.gaussian_law": Target(
        "test_gaussian_law test_extremes test_ode_moves test_theorem_2",
        "test_gaussian_law.test_the_* test_gaussian_law.test_a_* test_gaussian_law.test_blocks* test_extremes.test_clocks*"
        " test_ode_moves.test_the_law* test_extremes.test_a_long*"
        " test_extremes.test_steps_so*[[][23]] test_gaussian_law.test_equation_12 test_gaussian_law.test_figures*",
    ),
    "exact.floor": Target(
        "test_gaussian_law test_extremes test_ode_moves test_theorem_2",
        "test_gaussian_law.test_the_* test_gaussian_law.test_a_* test_gaussian_law.test_blocks* test_extremes.test_clocks*"
        " test_extremes.test_steps_so*[[][23]] test_gaussian_law.test_equation_12 test_gaussian_law.test_figures*",
    ),
    "data.log_concave": Target(
        "test_log_concave test_beyond_log_concave test_theorem_2 test_theorem_3 test_theorem_1"
        " test_gaussian_law test_extremes test_ode_moves",
        "test_log_concave.test_psi* test_log_concave.test_lemma*"
        " test_log_concave.test_the* test_log_concave.test_eq* test_log_concave.test_far*"
        " test_log_concave.test_a_* test_log_concave.test_excess* test_log_concave.test_facts*"
        " test_beyond_log_concave.test_[gl]* test_gaussian_law.test_the_* test_gaussian_law.test_a_*"
        " test_gaussian_law.test_blocks* test_extremes.test_clocks* test_extremes.test_steps_so*[[][23]]"
        " test_gaussian_law.test_equation_12 test_gaussian_law.test_figures*",
    ),
    "data.gaussian": Target(
        "test_log_concave test_beyond_log_concave test_theorem_2 test_theorem_3 test_theorem_1",
        "test_log_concave.test_psi* test_log_concave.test_lemma*"
        " test_log_concave.test_the* test_log_concave.test_eq*"
        " test_log_concave.test_far* test_log_concave.test_a_* test_log_concave.test_excess*"
        " test_log_concave.test_facts* test_beyond_log_concave.test_[gl]*",
    ),
    "data.curvature": Target(
        "test_log_concave test_beyond_log_concave test_theorem_2 test_theorem_3 test_theorem_1",
        "test_theorem_2.test_what_hf* test_log_concave.test_psi* test_log_concave.test_lemma*"
        " test_log_concave.test_the* test_log_concave.test_eq*"
        " test_log_concave.test_far* test_log_concave.test_a_* test_log_concave.test_excess*"
        " test_log_concave.test_facts* test_beyond_log_concave.test_[gl]*",
    ),
    "calculus.stable": Target(
        "test_log_concave test_beyond_log_concave test_theorem_2 test_theorem_3 test_theorem_1"
        " test_forward_process test_scheme test_ode_moves",
        "test_log_concave.test_psi* test_log_concave.test_lemma*"
        " test_log_concave.test_the* test_log_concave.test_eq* test_log_concave.test_far*"
        " test_log_concave.test_a_* test_log_concave.test_excess* test_log_concave.test_facts*"
        " test_beyond_log_concave.test_psi_of_a_small* test_forward_process.test_the_integrals*"
        " test_forward_process.test_small* test_scheme.test_for_ve* test_ode_moves.test_coefficients*",
    ),
    "exact.ode_moves": Target(
        "test_ode_moves test_theorem_3 test_own_schemes",
        "test_ode_moves.test_the_law* test_ode_moves.test_moves* test_own_schemes.test_two*",
    ),
    "sampler.point_coefficients": Target(
        "test_point_coefficients test_scheme",
        "test_scheme.test_coefficients_and_mismatches* test_point_coefficients.test_short* test_point_coefficients.test_kinks*",
    ),
    "data.score_regularity": Target(
        "test_score_regularity test_log_concave",
        "test_score_regularity.test_* test_log_concave.test_M1_special* test_log_concave.test_M1_is_never*",
    ),
    "forward.step_integrals": Target(
        "test_forward_process test_scheme test_ode_moves test_theorem_2",
        "test_forward_process.test_the_integrals* test_forward_process.test_small*"
        " test_scheme.test_for_ve* test_ode_moves.test_coefficients*",
    ),
    "bounds.theorem_3_profile": Target(
        "test_theorem_3_profile test_claims test_in_blocks",
        "test_in_blocks.test_blocks*"
        " test_theorem_3_profile.test_what_it_bounds* test_theorem_3_profile.test_its_*"
        " test_theorem_3_profile.test_the_terms*",
    ),
    "data.beyond_log_concave": Target(
        "test_beyond_log_concave test_theorem_3_profile test_statements",
        "test_beyond_log_concave.test_psi* test_beyond_log_concave.test_log_concave* test_beyond_log_concave.test_theorem_2*"
        " test_beyond_log_concave.test_the_contraction* test_beyond_log_concave.test_a_kink*"
        " test_theorem_3_profile.test_what_it_bounds*",
    ),
    "bounds.theorem_7": Target(
        "test_theorem_7 test_theorem_7_cells test_in_blocks",
        "test_in_blocks.test_[bw]*"
        " test_theorem_7.test_the_contraction* test_theorem_7.test_the_parts* test_theorem_7.test_in_x_units*"
        " test_theorem_7.test_stopped_early*"
        " test_theorem_7.test_the_order_in_K* test_theorem_7.test_many_steps* test_theorem_7.test_the_best*"
        " test_theorem_7.test_the_closed_form_as*",
    ),
    "bounds.theorem_7_integrals": Target(
        "test_theorem_7_integrals test_theorem_7",
        "test_theorem_7_integrals.test_short* test_theorem_7_integrals.test_the_constants*"
        " test_theorem_7_integrals.test_the_step_integrals* test_theorem_7_integrals.test_beyond*"
        " test_theorem_7_integrals.test_the_second* test_theorem_7_integrals.test_what_a_cell*"
        " test_theorem_7_integrals.test_the_highest* test_theorem_7_integrals.test_the_steps_of*",
    ),
    "bounds.modified_score": Target(
        "test_modified_score",
        "test_modified_score.test_the_sampler* test_modified_score.test_its_terms* test_modified_score.test_their*"
        " test_modified_score.test_the_score* test_modified_score.test_the_formula* test_modified_score.test_where*",
    ),
    "data.weak_log_concavity": Target(
        "test_weak_log_concavity",
        "test_weak_log_concavity.test_weak* test_weak_log_concavity.test_the_kink* test_weak_log_concavity.test_when*",
    ),
    "exact.random_midpoint": Target(
        "test_random_midpoint",
        "test_random_midpoint.test_moments* test_random_midpoint.test_the_bounds* test_random_midpoint.test_stopped*",
    ),
    "exact.leading_order": Target("test_leading_order", "test_leading_order.test_*"),
    "exact.tape_response": Target("test_tape_response", "test_tape_response.test_*"),
    "exact.ddim_angles": Target("test_ddim_angles test_phase", "test_ddim_angles.test_*"),
    "exact.law_of_tape": Target(
        "test_tape test_tape_recurrence test_tape_response",
        "test_tape.test_the_law_of_some* test_tape_recurrence.test_the_law_by*",
    ),
    "sampler.multistep": Target("test_multistep", "test_multistep.test_some* test_multistep.test_weights*"),
    "bounds.theorem_6": Target(
        "test_theorem_6",
        "test_theorem_6.test_no_eval* test_theorem_6.test_figures test_theorem_6.test_by_the_product*",
    ),
    "calculus.elliptic": Target(
        "test_phase test_theorem_6",
        "test_phase.test_the_arithmetic* test_theorem_6.test_no_eval* test_phase.test_elliptic* test_phase.test_the_minimax*",
    ),
    "summation.step_sums": Target("test_step_sums", "test_step_sums.test_*"),
    "summation.step_rows": Target("test_step_sums", "test_step_sums.test_*"),
    "exact.flow_in_time": Target("test_flow_in_time", "test_flow_in_time.test_*"),
    "exact.clock_law": Target(
        "test_clock_law test_placed_numerically",
        "test_clock_law.test_the_excess* test_clock_law.test_many_rows* test_placed_numerically.test_second*"
        " test_clock_law.test_gather* test_placed_numerically.test_gradients* test_clock_law.test_robust*",
    ),
    "design.objectives": Target(
        "test_placed_numerically",
        "test_placed_numerically.test_gradients* test_placed_numerically.test_the_hessian*",
    ),
    "exact.phase": Target(
        "test_phase test_theorem_6",
        "test_phase.test_the_[tm]* test_phase.test_what* test_phase.test_its_tape*",
    ),
    "bounds.root_floor": Target("test_theorem_6", "test_theorem_6.test_*"),
    "sampler.tangent_law": Target(
        "test_ddim_angles", "test_ddim_angles.test_the_* test_ddim_angles.test_figures"
    ),
    "sampler.levels": Target(
        "test_ddim_angles",
        "test_ddim_angles.test_equation_18* test_ddim_angles.test_the_ripple* test_ddim_angles.test_levels*",
    ),
}

#: The recursion that is compiled from its source for many steps: it is watched where it is called.
COMPILED, CALLER = "_recursion", "_evaluate"

#: Functions, and variables in them, that are no formula or whose value does not matter, and why.
PASSED_OVER: dict[str, str] = {
    "sampler.levels.levels_of": "refuses",
    "sampler.levels.geometric_step.lam": "a question, and a ratio",
    "sampler.levels.geometric_step.steps": "refuses",
    "sampler.coefficients.vanishes": "a question",
    "sampler.scheme.scheme_named": "a look-up",
    "sampler.coefficients.Own._read": "a look-up",
    "sampler.coefficients.Own._agree": "refuses",
    "sampler.coefficients.Own._flow.sizes": "a tolerance",
    "sampler.coefficients.Own._mismatch.size": "a tolerance",
    "sampler.point_coefficients._rest.lost": "chooses between two forms of one value",
    "sampler.point_coefficients._rest.smooth": "chooses between two forms of one value",
    "sampler.point_coefficients._rest.part": "a look-up",
    "sampler.coefficients.Own._corrector": "refuses",
    "data.score_regularity._derivatives": "symbolic: no number",
    "bounds.theorem_1.main_rate": "symbolic: no number",
    "bounds.theorem_1.drift_rate": "symbolic: no number",
    "bounds.theorem_1._needs": "symbolic: no number",
    "bounds.theorem_2.main_rate": "symbolic: no number",
    "bounds.theorem_2.drift_bias_rate": "symbolic: no number",
    "bounds.theorem_2.score_bias_rate": "symbolic: no number",
    "bounds.theorem_2._needs": "symbolic: no number",
    "bounds.theorem_3.main_rate": "symbolic: no number",
    "bounds.theorem_3._at_best_theta": "symbolic: no number",
    "bounds.theorem_3._needs": "symbolic: no number",
    "bounds.theorem_2._compiled": "the recursion's source, compiled",
    "bounds.theorem_2._run": "chooses between the recursion and its compiled twin",
    "bounds.ddpm.has_ancestral": "a question",
    "bounds.theorem_2._at": "a look-up",
    "sampler.scheme.keeps.by_hf": "either form is the value: what is smaller cancels less",
    "sampler.scheme.keeps.as_it_stands": "either form is the value: what is smaller cancels less",
    "bounds.ddpm.best_theta": "any theta gives a bound",
    "bounds.ddpm._least": "any theta gives a bound",
    "bounds.ddpm._of_block": "what theta is found by: any gives a bound",
    "bounds.theorem_3.best_theta": "any theta gives a bound",
    "bounds.theorem_7._sample": "any theta gives a bound",
    "bounds.theorem_3._theta": "any theta gives a bound",
    "bounds.theorem_3._best": "any theta gives a bound",
    "bounds.theorem_7._Curved.best": "any theta gives a bound",
    "bounds.theorem_7._best": "any theta gives a bound",
    "bounds.theorem_7._Curved._first.log": "how many steps one stands for where theta is chosen: any theta gives a bound",
    "bounds.theorem_7._Curved._second.log": "how many steps one stands for where theta is chosen: any theta gives a bound",
    "bounds.theorem_7_integrals.edges": "finer cells, a bound as well",
    "bounds.theorem_1.over_steps": "sums over many steps, which test_least_steps holds to the sums of each",
    "bounds.theorem_1._A2.roughly": "sums over many steps, which test_least_steps holds to the sums of each",
    "bounds.theorem_1._octave": "sums over many steps, which test_least_steps holds to the sums of each",
    "bounds.theorem_2.over_steps": "sums over many steps, which test_least_steps holds to the sums of each",
    **{
        f"bounds.{f}._claim": "symbolic: no number"
        for f in ("theorem_1", "theorem_2", "theorem_3", "theorem_7")
    },
    "bounds.theorem_3_profile._claim": "symbolic: no number",
    "bounds.shared.begun": "texts, whose terms must add up to the bound",
    "bounds.shared.value_of": "the parts as a value of (T, K), which test_least_steps holds to the bound",
    "bounds.ddpm.ManySteps.beside": "sums over many steps, which test_least_steps holds to the sums of each",
    "bounds.ddpm.ManySteps.curved": "sums over many steps, which test_least_steps holds to the sums of each",
    "bounds.ddpm.ManySteps.best": "sums over many steps, which test_least_steps holds to the sums of each",
    "bounds.ddpm.best_of": "any theta gives a bound",
    "bounds.theorem_1._explain": "texts, whose terms must add up to the bound",
    "bounds.theorem_2.shares": "terms of an explanation, which must add up to the bound",
    "bounds.theorem_2._explain": "chooses between two texts",
    "bounds.theorem_2._left": "the start's share of `iterations`, whose tests watch it",
    "bounds.theorem_3._explain": "texts, whose terms must add up to the bound",
    "bounds.theorem_3._rows": "the sums' own terms, weighted by a quadrature",
    "bounds.theorem_3_profile._explain": "texts, whose terms must add up to the bound",
    "bounds.theorem_3_profile._start": "the start's error, for `iterations`, which refuses profiles",
    "bounds.theorem_7._explain": "texts, whose terms must add up to the bound",
    "bounds.theorem_7._rows": "the sums' own terms, weighted by a quadrature",
    "data.log_concave.gaussian_data": "a look-up",
    "exact.gaussian_law.exact_w2": "the statement by its front door",
    "exact.floor.LowerBound.steps": "rounds up",
    "bounds.ddpm.ancestral": "names the parts, which `ancestral_sums` and `Parts.additive` compute",
    "data.gaussian.Gaussian._regular": "refuses",
    "data.gaussian.Gaussian.d": "a look-up",
    "data.log_concave.LogConcave.M1": "a look-up",
    "data.log_concave.LogConcave._contradiction": "refuses",
    "data.gaussian.Gaussian._eigen": "linear algebra, and what counts as zero in it",
    "data.beyond_log_concave._enough": "a tolerance: another is refined further, or a little less",
    "data.beyond_log_concave.BoundedData.check": "refuses",
    "data.beyond_log_concave.CurvatureProfile.check": "refuses",
    "data.beyond_log_concave.CurvatureProfile._refuse": "refuses",
    "data.beyond_log_concave.CurvatureProfile._moments": "refuses",
    "data.beyond_log_concave.CurvatureProfile._prove": "refuses",
    "bounds.theorem_1._supremum_inside.low": "steers the refinement; the upper end is what is returned",
    "bounds.theorem_1.moment_supremum.low": "steers the refinement; the upper end is what is returned",
    "data.beyond_log_concave.Profile._inner.cut": "where an integral is split does not change it",
    "bounds.theorem_1._roughness.kink": "where an integral is split does not change it",
    "bounds.theorem_1._roughness.first_end": "where an integral is split does not change it",
}

# fmt: off
#: Modules and functions whose arrays are cells of a search or nodes of a quadrature: no steps to be late by.
NO_STEPS = (
    "data.score_regularity", "bounds.theorem_1._supremum_inside", "bounds.theorem_1.moment_supremum",
    "exact.leading_order", "data.beyond_log_concave.CurvatureProfile.kinks",
    "data.beyond_log_concave._crossings", "bounds.theorem_7_integrals.second_constant",
    "bounds.theorem_7_integrals._highest", "bounds.theorem_7_integrals._exponential",
    "data.weak_log_concavity", "exact.random_midpoint._by_quadrature",
)

#: Slow references, computed once for all mutants.
REMEMBERED = (
    "referee.steps", "referee.exact_w2", "theorem_1_referee.theorem1", "referee.theorem2", "referee.ancestral_parts",
    "referee.decay_constant", "referee.psi", "theorem_1_referee.roughness", "theorem_1_referee.displacement2",
    "theorem_1_referee.step_size_ratios", "test_theorem_3.plain_parts", "test_ode_moves.plain_w2",
    "test_leading_order.exact_w2", "test_leading_order.law",
    "test_beyond_log_concave.plain", "test_beyond_log_concave.decades",
)
# fmt: on

#: Mutants that change no value, by the beginning of their names, and why.
EQUIVALENT: dict[str, str] = {
    "bounds.ddpm.by_cause: `s.nodes.sampled()`": "what theta is found on: any gives a bound",
    "bounds.ddpm.by_cause: `_least(": "any theta gives a bound",
    "bounds.theorem_7_integrals._highest: `np.where(C > 0.0, C, 1.0)` halved": "where Newton's method begins, further right",
    "bounds.theorem_7_integrals.integrals: `DEEP` halved": "bounded from 2e-10 of a step's integral on: from above as well",
    "bounds.theorem_7_integrals.integrals: `math.log(L0)` (no. 2)": "what log v is counted from, and put back",
    "bounds.theorem_7_integrals.integrals: `np.exp(-end)`": "below e^-45 of a step's integral, for caution",
    "bounds.theorem_7_integrals.integrals: `np.where(cut, (flat": "below e^-45 of a step's integral, for caution",
    "bounds.theorem_7_integrals.integrals: `flat` ": "below e^-45 of a step's integral, for caution",
    "bounds.theorem_7_integrals.integrals: `steep * rest` ": "below e^-45 of a step's integral, for caution",
    "bounds.theorem_7_integrals.integrals: `np.stack(": "below e^-45 of a step's integral, for caution",
    "bounds.theorem_7_integrals.integrals: `left` halved": "below e^-45 of a step's integral, or infinite",
    "bounds.theorem_7_integrals.Integrals._log: `left` halved": "below e^-45 of a step's integral, or infinite",
    "exact.ddim_angles.ddim_floor: `-np.expm1(K * _log_cos(_angle(x, lam_max) / K))` flipped": "its square enters",
    "exact.ddim_angles.ddim_iterations: `1.0` dropped": "where the search for K begins",
    "exact.ddim_angles.ddim_iterations: `1e-12` ": "where the search for K begins",
    "bounds.theorem_7.local: `4.0 * EPS * quarter`": "a margin for rounding",
    "bounds.modified_score.terms: `ROUNDING`": "a margin for rounding",
    "bounds.theorem_3_profile.local: `share * lam_L`": "c L <= 1 for every named scheme: then it decides nothing",
    "bounds.theorem_3_profile.local: `lost_L`": "c L <= 1 for every named scheme: then it decides nothing",
    "bounds.theorem_3_profile.local: `lost_m` ": "c L <= 1 for every named scheme: then it decides nothing",
    "bounds.theorem_3_profile.AtTheta.add: `self.highest`": "only the shape of the weight matters",
    "exact.random_midpoint._by_quadrature: `1.0` (no. 3)": "a constant, which a variance does not see",
    "sampler.scheme._ode_ei: `np.sqrt(kappa2)` flipped": "(keep - kappa)(keep + kappa) is even in kappa",
    "exact.ode_moves._trapezoid: `kept` flipped": "the start's error of the mean, all there is, enters by its square",
    "bounds.theorem_1._roughness: `whole.error`": "an estimate below 1e-11 of the integral, added for caution",
    "bounds.theorem_1._roughness: `rest.error`": "an estimate below 1e-11 of the integral, added for caution",
    "bounds.theorem_2.local: `np.where(steps.q == 0.0, 0.0, steps.q / (np.sqrt(b.steps.Q) +"
    " np.sqrt(steps.Q)))` flipped": "its size",
    "bounds.theorem_2.Sums.add: `1.0` dropped": "of products so large the bound is infinite",
    "bounds.theorem_2.Sums.parts: `math.inf if start else 0.0` halved": "half of infinity",
    "bounds.theorem_2.Sums.parts: `math.inf` halved": "half of infinity",
    "bounds.theorem_2.Sums.parts: `math.inf` (no. 2) halved": "half of infinity",
    "bounds.theorem_2.Sums.parts: `math.inf if self.M else 0.0` halved": "half of infinity",
    "data.log_concave.LogConcave.gaussian: `math.sqrt(left)` flipped": "any direction does",
    "data.log_concave.LogConcave.gaussian: `mean` flipped": "any direction does",
    "data.score_regularity.score_rate: `np.exp(log_a_lo)` flipped": "its square enters, or the larger size of both ends",
    "data.score_regularity.score_rate: `a_lo * np.maximum(np.maximum(low, -high), 0.0)` flipped": "its square enters",
    "data.score_regularity.score_rate: `np.fmin(size_hi, at_size + two)` flipped": "its square enters",
    "data.score_regularity.score_rate: `hi` (no. 2)": "the larger of two halves that are equal, but for rounding",
    "data.score_regularity.score_rate: `middle` (no. 2)": "the larger of two halves that are equal, but for rounding",
    "calculus.stable._terms: `largest / factor(n)` halved": "one term less, below 1e-18 of the first",
    "calculus.stable._series: `coefficients[-1] * y if n else np.zeros_like(x)`": "the last term, below 1e-17 of the first",
    "calculus.stable.expm1_minus: `max(float(x.max()), -float(x.min())) if x.size else 0.0` halved": "enough terms for twice x",
    "calculus.stable.sinh_minus: `float(x.max()) if x.size else 0.0` halved": "enough terms for twice x",
    "forward.step_integrals.StationarySteps.largest: `float(self.F.max()) if self.F.size else 0.0`"
    " halved": "the terms kept for F/2 leave less than 1e-16 of F's series",
    "forward.step_integrals.GeneralSteps._mesh: `np.exp(inner)` halved": "panels refined to 4 times their tolerance, 1e-13",
    "forward.step_integrals.GeneralSteps._mesh: `np.exp(inner)` flipped": "a moment and its error with the other sign",
    "forward.step_integrals.GeneralSteps._integrals: `np.abs(out - coarse)` halved": "twice the tolerance, 1e-12, of 3 nodes",
    "forward.step_integrals.GeneralSteps._integrals: `out` ": "5 nodes disagree with 3: then the step is taken by panels",
    "forward.step_integrals.GeneralSteps._integrals: `coarse` ": "5 nodes disagree with 3: then the step is taken by panels",
    "exact.law_of_tape._parts: `room[:, :(tape.K + 1) * part.size]": "memory, written before it is read",
    "exact.law_of_tape._solve: `_by_rows(tape, C, W, mean) if r is None else _by_recurrence(tape, r, C, W, mean)`"
    " flipped": "its square enters",
    "exact.law_of_tape._by_rows: `np.asarray(tape.noises.T @ C)` flipped": "its square enters",
    "sampler.multistep._ddim: `eta * math.sqrt(low * (1.0 - share)) * run.writer.noise()` flipped": "its square enters",
    "bounds.theorem_6.log_affine_floor: `-math.inf` halved": "half of infinity",
    "bounds.theorem_6.affine_iterations: `groetzsch(eps) * of_kappa / math.pi ** 2`": "where the search for K begins",
    "bounds.theorem_6.affine_iterations: `0.5`": "where the search for K begins",
    "calculus.elliptic.log_modulus: `math.exp(_log_small_modulus(math.pi ** 2 / (4.0 * mu)))` flipped": "its square enters",
    "exact.leading_order._square_root: `T * np.array([1e-06, 2e-06])` halved": "a limit to second order, from two other times",
    "exact.leading_order._square_root: `math.log2(ratio[1] / ratio[0])` halved": "whether it is 0, to 2e-3 in place of 1e-3",
    "data.beyond_log_concave.Profile._squared: `np.maximum(np.abs(self.lam_m(at)), self.lam_L(at))` flipped": "its square enters",
    "data.beyond_log_concave.Profile._inner: `panels(everyone, np.zeros(n), np.ones(n),"
    " 6)`": "then the steps are refined instead",
    "data.beyond_log_concave.Profile._inner: `value` ": "then the steps are refined instead",
    "data.beyond_log_concave.Profile._inner: `panels(everyone, np.zeros(n), np.ones(n),"
    " 4)`": "then the steps are refined instead",
    "data.beyond_log_concave.Profile.log_psi: `1e-15`": "a unit in the last place, added for caution",
    "data.beyond_log_concave.Profile.log_psi: `error`": "an estimate below 1e-12 of the integral, added for caution",
    "data.beyond_log_concave.Profile.minus_cubed: `off": "an estimate below 1e-12 of the integral, added for caution",
    "data.beyond_log_concave.Profile.minus_cubed: `1e-13`": "a margin for rounding",
    "data.beyond_log_concave.BoundedData.log_psi: `math.log(0.5)`": "below which quadrature gives the same",
    "data.beyond_log_concave.CurvatureProfile.excess: `1e-15`": "a unit in the last place, for caution",
    "data.beyond_log_concave._crossings: `gap(at)` halved": "its sign",
    "data.beyond_log_concave._crossings: `np.sign(value[turns])` halved": "its sign",
    "data.beyond_log_concave._crossings: `np.linspace(-90.0, 90.0, SAMPLES)` flipped": "the same samples, from the other end",
    "data.beyond_log_concave.CurvatureProfile.log_contraction: `DEPTH` halved": "below e^-50 of lam(T) there is nothing left",
    "exact.leading_order._cosine: `math.log(2.0)`": "a factor of the rate, which cancels",
    "exact.leading_order._flat: `log_lam_T` halved": "another lower end, below which the rest is closed",
    "exact.leading_order._flat: `60.0` dropped": "another lower end, below which the rest is closed",
    "bounds.theorem_2.local: `keeps(*own, m[rest], _at(drift, rest), lag[rest])` flipped": "its size",
    "bounds.theorem_2.local: `keeps(*own, L[rest], drift_L, lag[rest])` flipped": "its size",
    "sampler.scheme.keeps: `np.where(by_hf < as_it_stands, 1.0 + drift - (a - c * curvature) * lag,"
    " (A - C * curvature) * lag)` flipped": "its size",
    "data.beyond_log_concave.Profile._inner: `np.abs(value - panels(everyone, np.zeros(n), np.ones(n),"
    " 4))` halved": "an estimate below 1e-12",
    "bounds.theorem_2.sums: `s.score_noise` flipped": "its square enters",
    "bounds.theorem_2._evaluate: `V` flipped": "its square enters",
    "bounds.ddpm.by_cause: `math.sqrt(noise2)` flipped": "its square enters",
    "bounds.ddpm.ancestral_sums: `t.noise` flipped": "its square enters",
    "exact.gaussian_law.defects: `whole - steps.q` dropped": "ddpm alone comes by, and there it is 0 to the last bit",
    "exact.gaussian_law.defects: `whole - steps.q` halved": "ddpm alone comes by, and there it is 0 to the last bit",
    "exact.gaussian_law.defects: `whole - steps.q` flipped": "ddpm alone comes by, and there it is 0 to the last bit",
    "exact.gaussian_law.law: `1.0 / float(variances.mean()) if variances.any() else 1.0` halved": "a unit, which cancels",
    "exact.gaussian_law.remaining: `1.0 / float(variances.mean())` halved": "a unit, which cancels",
    "exact.gaussian_law.law: `np.ones_like(variances)` flipped": "the mean's error enters by its square",
    "exact.gaussian_law.law: `np.exp(log_P)` flipped": "its square enters",
    "exact.gaussian_law.law: `(1.0 + c * delta) ** power` flipped": "its square enters, and the square of the mean's error",
    "exact.gaussian_law.law: `scale * mean` flipped": "the mean's error enters by its square",
    "exact.gaussian_law.law: `mean` (no. 3) flipped": "the mean's error enters by its square",
    "exact.gaussian_law._evaluate: `np.where(spread == 0.0, 0.0, np.maximum(excess, -variances) /"
    " spread)` flipped": "its square enters",
}

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
        "test_theorem_1 test_statements test_in_blocks",
        "test_in_blocks.test_theorem_1*"
        " test_theorem_1.test_the_total_and_its_parts[[]1] test_theorem_1.test_the_step_size* test_theorem_1.test_omega*"
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
        " test_ode_moves.test_given* test_extremes.test_a_long* test_extremes.test_steps_so*[[]21]"
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
        "test_clock_law.test_every_pair* test_clock_law.test_stopped* test_clock_law.test_samples*"
        " test_clock_law.test_the_excess* test_clock_law.test_many_rows* test_clock_law.test_gather*"
        " test_clock_law.test_robust*",
    ),
    "design.objectives": Target(
        "test_placed_numerically",
        "test_placed_numerically.test_gradients* test_placed_numerically.test_the_* test_placed_numerically.test_eq_9_sq*",
    ),
    "exact.phase": Target(
        "test_phase test_theorem_6",
        "test_phase.test_the_[tm]* test_phase.test_what* test_phase.test_its_tape*",
    ),
    "bounds.root_floor": Target("test_theorem_6", "test_theorem_6.test_*"),
    "sampler.tangent_law": Target(
        "test_ddim_angles", "test_ddim_angles.test_the_* test_ddim_angles.test_figures"
    ),
    "numerics.transport.gaussians": Target(
        "test_samples test_couplings",
        "test_couplings.test_singular*"
        " test_samples.test_the_outside* test_samples.test_s[ci]* test_samples.test_full* test_samples.test_near*"
        " test_samples.test_a_distance* test_samples.test_bad_g*",
    ),
    "numerics.transport.quantiles": Target(
        "test_samples test_couplings",
        "test_samples.test_samples_of* test_samples.test_quantile* test_samples.test_a_s* test_samples.test_what*"
        " test_couplings.test_[aet]*"
        " test_samples.test_bad_laws* test_samples.test_atoms*",
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
    "summation.step_sums._edges": "where panels end, which the check's others do elsewhere",
    "summation.step_sums.Laid._truncation": "an estimate of an error, far above it",
    "summation.step_sums._breaks.log_lam": "a question",
    "bounds.root_floor._equal_heights.nodes": "where Newton's method begins and goes: equal heights end it",
    "bounds.root_floor._equal_heights.B": "Newton's step: equal heights end it",
    "bounds.root_floor._equal_heights.slope": "Newton's step: equal heights end it",
    "bounds.root_floor._equal_heights.inverse": "Newton's step: equal heights end it",
    "bounds.root_floor._equal_heights.step": "Newton's step: equal heights end it",
    "bounds.root_floor._equal_heights.gap": "how long Newton's step may be",
    "bounds.root_floor._equal_heights.length": "how long Newton's step may be",
    "exact.phase._phases.lo": "a bracket of a search that ends where nothing moves",
    "exact.phase._phases.u": "where a search goes on that ends where nothing moves",
    "exact.phase._phases.step": "where a search goes on that ends where nothing moves",
    "numerics.transport.quantiles.quantile_w2.noise": "a tolerance",
    "numerics.transport.quantiles.quantile_w2.allowed": "a tolerance",
    "numerics.transport.gaussians._covariance.root": "a tolerance",
    "summation.step_rows.speed": "how wide virtual steps are, and whether an end counts: the end of a life is a test",
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

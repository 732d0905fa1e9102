"""Section: the explorer, sliders that redraw both theorems, the exact W2, the floor and K(ε) in the browser."""

from __future__ import annotations

import json
import math
from html import escape

from numerics.figures.style import INK, colour
from numerics.report import javascript
from numerics.report.blocks import Context, Folded, Html, Panel, Part, Prose, template
from wbound.calculus.quadrature import rule
from wbound.forward.catalogue import CATALOGUE, PUBLISHED

__all__ = ["build", "engine", "script"]

#: Sliders: name, label, positions from, to and at first (powers of ten), gloss.
SLIDERS = (
    ("d", "d", 0.0, 4.0, math.log10(3.0), "dimension of the data"),
    ("m0", "m_0", -2.0, 2.0, math.log10(0.5), "the data's least curvature, 1/x²"),
    ("L0", "L_0", -2.0, 4.0, math.log10(0.5), "the data's largest curvature, 1/x²"),
    ("M", "score error M", -4.0, 1.0, -4.0, "A3: L2 size of the score's error; 0 at the left end"),
    ("M1", "A2's constant M_1", -4.0, 3.0, 0.0, "for Theorem 1; computed for Gaussian data"),
    ("eps", "ε", -4.0, 1.0, -1.0, "accuracy wanted in W2, in the data's units"),
    ("T", "T", -1.0, 8.0, 3.0, "forward time, moved through λ(T) in units of 1/m_0"),
    ("K", "K", 0.0, 4.0, 2.0, "number of steps, uniform grid"),
)
#: The reader's own data and sampler: what is typed, and files, which the page reads itself.
OWN_DATA = (
    '<details id="explorer-mine"><summary>your own data</summary>'
    '<div class="own"><label for="explorer-variances">variances, the eigenvalues of the covariance</label>'
    '<textarea id="explorer-variances" rows="2" spellcheck="false" placeholder="4, 1, 0.25"></textarea>'
    '<label for="explorer-samples">or a .npy file of samples, or of variances</label>'
    '<input type="file" id="explorer-samples" accept=".npy">'
    '<button type="button" id="explorer-dials" hidden>back to the dials</button></div></details>'
    '<p class="source" id="explorer-data-said" role="status"></p>'
)
OWN_TAPE = (
    '<details id="explorer-recorded"><summary>a recorded sampler</summary>'
    '<div class="own"><label for="explorer-tape">a tape, as .json</label>'
    '<input type="file" id="explorer-tape" accept=".json">'
    '<button type="button" id="explorer-untape" hidden>back to the named samplers</button></div></details>'
    '<p class="source" id="explorer-tape-said" role="status"></p>'
)
TITLES = {
    "em": "em, Euler–Maruyama (f, g² integrated)",
    "em-point": "em-point, as most packages do",
    "ei": "ei, exponential integrator",
    "hf": "hf, heat-flow Euler",
    "ddpm": "ddpm, ancestral",
}
STARTS = {
    "prior": "prior, N(0, σ²(T) I)",
    "exact": "exact, p_T",
    "own": "own, as recorded",
    "standard": "standard, N(0, I)",
}


def _rules() -> str:
    """Gauss–Legendre rules by their number of nodes, and the one with running integrals."""
    rules = {str(n): {"x": rule(n).x.tolist(), "w": rule(n).w.tolist()} for n in (2, 3, 5, 6, 10)}
    r = rule(8)
    panel = {"x": r.x.tolist(), "w": r.w.tolist(), "cumulative": r.cumulative.tolist()}
    return json.dumps({**rules, "panel": panel}, separators=(",", ":"))


def engine() -> str:
    """The script's formulas, printed from sympy, and its recursions."""
    return "\n".join(
        (
            javascript.constant("RULES", _rules()),
            javascript.constant("PROCESSES", javascript.processes(PUBLISHED)),
            javascript.constant("SCHEMES", javascript.scheme_code()),
            template("explorer-steps.js"),
            template("explorer-own.js"),
            template("explorer-sums.js"),
        )
    )


def script() -> str:
    """The whole script of the panel, in a scope of its own; it sets `window.wboundEvaluate`."""
    shades = {name: colour(name).replace(INK, "var(--ink)") for name in PUBLISHED}
    body = "\n".join(
        (engine(), javascript.constant("COLOURS", json.dumps(shades)), template("explorer-ui.js"))
    )
    return f'"use strict";\n(() => {{\n{body}\n}})();'


# ---------------------------------------------------------------------- the form


def _index(text: str) -> str:
    head, low, tail = text.partition("_")
    return escape(head) + (f"<sub>{escape(tail)}</sub>" if low else "")


def _slider(name: str, label: str, lo: float, hi: float, at: float, gloss: str, parameter: str = "") -> str:
    mark = f' data-parameter="{parameter}"' if parameter else ""
    return (
        f'<div class="dial"{mark}><label for="explorer-{name}" title="{escape(gloss)}">{_index(label)}</label>'
        f'<output id="explorer-{name}-out" for="explorer-{name}"></output>'
        f'<input type="range" id="explorer-{name}" min="{lo:g}" max="{hi:g}" step="any" value="{at:.6g}"></div>'
    )


def _select(name: str, label: str, options: dict[str, str], chosen: str) -> str:
    inner = "".join(
        f'<option value="{key}"{" selected" if key == chosen else ""}>{escape(text)}</option>'
        for key, text in options.items()
    )
    return (
        f'<div class="dial"><label for="explorer-{name}">{label}</label>'
        f'<select id="explorer-{name}">{inner}</select></div>'
    )


def _form() -> str:
    parameters: dict[str, float] = {}
    for name in reversed(PUBLISHED):
        parameters |= dict(CATALOGUE[name].defaults)
    order: list[str] = [p for p in ("a", "b", "c", "rho", "theta", "sigma") if p in parameters]
    order += [p for p in parameters if p not in order]
    greek = {"rho": "ρ", "theta": "ϑ", "sigma": "ς"}
    dials = {row[0]: _slider(*row) for row in SLIDERS}
    groups = {
        "Process": _select("process", "process", {n: n for n in PUBLISHED}, "vp-linear")
        + "".join(
            _slider(f"p-{p}", greek.get(p, p), -1.5, 1.5, math.log10(parameters[p]), f"parameter {p}", p)
            for p in order
        )
        + '<p class="source"><code id="explorer-law"></code></p>',
        "Data": OWN_DATA
        + dials["d"]
        + dials["m0"]
        + '<div class="tick"><input type="checkbox" id="explorer-gaussian" checked> '
        '<label for="explorer-gaussian">Gaussian: L<sub>0</sub> = m<sub>0</sub></label></div>' + dials["L0"],
        "Sampler": _select("scheme", "scheme", TITLES, "hf")
        + _select("start", "start", STARTS, "prior")
        + dials["T"]
        + dials["K"]
        + '<button type="button" id="explorer-best">look for the T with fewest steps</button>'
        + OWN_TAPE,
        "Accuracy": dials["eps"] + dials["M"] + dials["M1"],
    }
    return "".join(
        f"<fieldset><legend>{legend}</legend>{inner}</fieldset>" for legend, inner in groups.items()
    )


def _panel() -> str:
    heads = ("", "W2 at K", "start", "discretisation", "score error", "K(ε) at this T")
    return (
        '<div id="explorer-app" class="explorer" hidden>'
        f'<form id="explorer-form" aria-label="Explorer settings">{_form()}</form>'
        '<div class="shown"><figure id="fig-explorer"><div id="explorer-plot" role="img" '
        'aria-label="W2 error against the number of steps, both axes logarithmic, drawn by the script."></div>'
        "<figcaption>Lines: Theorem 2 as Eq. 7″, the criterion of K(ε). Points: the values at K, as in the "
        "table.</figcaption></figure>"
        '<p id="explorer-said" role="status"></p>'
        '<div class="scroll" role="region" aria-label="Explorer: numbers" tabindex="0"><table>'
        "<caption>The explorer's numbers: W2 in the units of the data</caption><thead><tr>"
        + "".join(f'<th scope="col"{" class=r" if h else ""}>{escape(h) or "statement"}</th>' for h in heads)
        + '</tr></thead><tbody id="explorer-rows"></tbody></table></div>'
        '<figure id="fig-directions"><div id="explorer-directions" role="img" aria-label="W2 by direction of the data, '
        'drawn by the script."></div><figcaption>Exact W2 by direction: a point for each principal axis of the data, over '
        "its variance; the squares add up to W2².</figcaption></figure>"
        '<details id="explorer-same"><summary>the same numbers from the command line and from Python</summary>'
        '<div class="own"><p>Command <button type="button" data-copy="explorer-command">copy</button></p>'
        '<pre><code id="explorer-command"></code></pre>'
        '<p>Python <button type="button" data-copy="explorer-python">copy</button></p>'
        '<pre><code id="explorer-python"></code></pre></div></details></div></div>'
        "<noscript><p>The explorer needs scripts; <code>wbound bound</code> computes the same.</p></noscript>"
    )


def build(context: Context) -> Part:
    """The part of this section."""
    code = script()
    text = (
        "Turn a dial, paste the variances of your own data or drop a file of samples, choose a sampler or load its [[tape]]: all "
        "follows at once, in this page; nothing leaves it. You see W2 by [[Theorem 1]], by [[Theorem 2]] and exactly, from the "
        "[[prior]] or from p_T, and the least K for [[ε]]. Samplers: [[em]], [[em-point]], [[ei]], [[hf]], ddpm."
    )
    small = (
        "Formulas are printed from the toolkit's own expressions, for {processes:int} processes and {schemes:int} schemes. With "
        "the dials the data are centred with E|X_0|² = d/m_0, the largest that A1 allows, so the bounds hold for every "
        "centred law "
        "with these m_0 and L_0 (Theorem 1 where its M_1 holds too); where L_0 = m_0 they are N(0, I/m_0).\n\n"
        "Theorem 1 is about em whatever the scheme chosen; its M_1 is computed for Gaussian data and is the "
        "slider's word otherwise. For ddpm Theorem 2 is the smaller of Eq. 7 and Eq. 9′ at θ = 2 (the toolkit "
        "looks for the best θ). The exact W2 is that of the exact score (M = 0) and its K(ε) adds what the prior "
        "start changes, so that no tuned cancellation counts; the floor is Eq. 11 and 12, for hf started from p_T on N(0, I/m_0)."
    )
    data = {
        "processes": len(PUBLISHED),
        "schemes": len(javascript.SCHEMES),
        "bytes": len(code.encode()),
        "sliders": [row[0] for row in SLIDERS],
    }
    return Part(
        data,
        (
            Prose(text),
            Panel(Html(_panel()), Html(code)),
            Folded("What the explorer computes", (Prose(small),)),
        ),
    )

// The panel: reads the sliders, draws, writes the table. Positions of most sliders are powers of ten.
const $ = (id) => document.getElementById("explorer-" + id);
const form = $("form"), place = $("plot"), SVG = "http://www.w3.org/2000/svg";
const SUPER = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const raised = (n) => [...String(n)].map((c) => SUPER[c]).join("");

function show(x, digits = 4) {
  if (x === null || x === undefined) return "—";
  if (x === 0) return "0";
  if (Number.isInteger(x) && Math.abs(x) < 1e7) return String(x).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const e = Math.floor(Math.log10(Math.abs(x)));
  if (e >= -4 && e < 6) return String(Number(x.toPrecision(digits))).replace("-", "−");
  const [mantissa, power] = x.toExponential(digits - 1).split("e");
  return `${String(Number(mantissa)).replace("-", "−")} × 10${raised(Number(power))}`;
}

// a slider's value has the three digits that are shown
const read = (name) => Number($(name).value), power = (name) => Number(Math.pow(10, read(name)).toPrecision(3));
let drawn = null;

// what the sliders say
function setting() {
  const process = $("process").value, row = PROCESSES[process], parameters = {};
  for (const name of Object.keys(row.defaults)) parameters[name] = power("p-" + name);
  const gaussian = $("gaussian").checked;
  if (gaussian) $("L0").value = $("m0").value;
  const m0 = power("m0"), L0 = gaussian || read("L0") <= read("m0") ? m0 : power("L0");
  const T = Number(timeOf(row.make(parameters), read("T") * Math.LN10 - Math.log(m0)).toPrecision(4));
  return {
    process, parameters, m0, L0, T, d: Math.round(power("d")), eps: power("eps"), scheme: $("scheme").value,
    start: $("start").value, M: read("M") <= Number($("M").min) ? 0 : power("M"), M1: power("M1"), K: Math.round(power("K")),
  };
}

function label(name, text) {
  $(name + "-out").textContent = text;
  $(name).setAttribute("aria-valuetext", text);
}

const KS = [];
for (let i = 0; i <= 20; i++) { const k = Math.round(Math.pow(10, i / 4)); if (!KS.includes(k)) KS.push(k); }

function redraw() {
  const started = performance.now(), s = setting(), found = evaluate(s), m = prepare(s);
  const names = [...needed(m, "sharp"), "published", ...(m.gaussian ? ["law"] : [])];
  const lines = { one: [], two: [], exact: [], floor: [] };
  for (const K of KS) {
    const g = K <= 600 ? oneByOne(m, K, names) : expanded(m, K, names);
    lines.one.push(CRITERIA.published(m, g).total);
    lines.two.push(CRITERIA.sharp(m, g).total);
    if (m.gaussian) { lines.exact.push(law(m, g, m.start).w2); lines.floor.push(floorW2(m, K)); }
  }
  labels(s, found);
  draw(s, found, lines);
  table(s, found);
  drawn = { setting: s, found, ms: performance.now() - started };
  return drawn.ms;
}

function labels(s, found) {
  for (const [name, value] of Object.entries(s.parameters)) label("p-" + name, show(value, 3));
  for (const box of form.querySelectorAll("[data-parameter]")) box.hidden = !(box.dataset.parameter in s.parameters);
  label("d", show(s.d));
  label("eps", show(s.eps, 3));
  label("m0", show(s.m0, 3));
  label("L0", show(s.L0, 3));
  label("M", show(s.M, 3));
  label("T", `${show(s.T, 4)}, λ = ${show(Math.exp(found.logLamT), 3)}`);
  label("K", show(s.K));
  const gaussian = s.m0 === s.L0;
  $("L0").disabled = $("gaussian").checked;
  $("M1").disabled = gaussian;
  label("M1", show(gaussian ? found.M1 : s.M1, 4) + (gaussian ? " (computed)" : ""));
  $("law").textContent = `f = ${PROCESSES[s.process].f_text}, g = ${PROCESSES[s.process].g_text}`;
}

function cell(text, tag = "td") {
  const e = document.createElement(tag);
  e.textContent = text;
  if (tag === "th") e.scope = "row"; else e.className = "r";
  return e;
}

function steps(k) {
  if (!k) return "—";
  if (k.K !== null) return show(typeof k.K === "number" && k.K < 1e7 ? Math.ceil(k.K) : k.K, 3);
  return k.floor === null ? "—" : `none: ε ≤ ${show(k.floor, 3)}`;
}

function table(s, found) {
  const one = found.theorem1, two = found.theorem2, rows = [
    ["Theorem 1 (em)", one.failed ? `needs smaller steps (k = ${show(one.failed)})` : show(one.total),
      ...(one.failed ? ["—", "—", "—"] : [one.initialisation, one.discretisation, one.score].map((x) => show(x, 3))), steps(found.K.theorem1)],
    [`Theorem 2 (${two.statement})`, show(two.total), show(two.initialisation, 3), show(two.discretisation, 3), show(two.score, 3), steps(found.K.theorem2)],
    [`exact W2 (${s.scheme}, exact score)`, show(found.exact), "", "", "", steps(found.K.exact)],
    ["floor (hf, exact start)", show(found.floor), "", "", "", found.K.floor === null ? "—" : steps({ K: found.K.floor })],
  ];
  $("rows").replaceChildren(...rows.map((row) => {
    const tr = document.createElement("tr");
    tr.append(...row.map((text, i) => cell(text, i ? "td" : "th")));
    return tr;
  }));
  const ratio = found.exact ? two.total / found.exact : null;
  $("said").textContent = [
    two.total === null ? "Theorem 2 is infinite here: the steps are too long." : two.total >= found.trivial
      ? `At K = ${show(s.K)} Theorem 2 is vacuous: above ‖X₀‖ = ${show(found.trivial)}.`
      : `At K = ${show(s.K)} Theorem 2 gives ${show(two.total)}${ratio ? `, ${show(ratio, 3)} times the exact W2` : ""}.`,
    found.K.theorem2.K === null ? "No K up to 10¹⁸ brings Theorem 2 below ε at this T." : `Theorem 2 reaches ε with K = ${steps(found.K.theorem2)}.`,
  ].join(" ");
}

function draw(s, found, lines) {
  const width = Math.max(place.clientWidth, 260), height = Math.round(Math.min(Math.max(0.6 * width, 260), 430));
  const left = 46, right = width - 80, top = 12, bottom = height - 40;
  const all = Object.values(lines).flat().filter((y) => Number.isFinite(y) && y > 0 && y <= 3 * found.trivial);
  let least = Math.min(s.eps, ...all), most = Math.max(s.eps, found.trivial, ...all);
  least = Math.max(least, most * 1e-9);
  const lo = Math.floor(Math.log10(least) + 0.15), hi = Math.ceil(Math.log10(most) - 0.02);
  const x = (K) => left + (right - left) * Math.log10(K) / 5;
  const y = (v) => bottom - (bottom - top) * (Math.log10(v) - lo) / Math.max(hi - lo, 1);
  const parts = [], put = (tag, a, text) => {
    const body = Object.entries(a).map(([k, v]) => ` ${k}="${typeof v === "number" ? Math.round(v * 10) / 10 : v}"`).join("");
    parts.push(`<${tag}${body}>${text || ""}</${tag}>`);
  };
  for (let i = 0; i <= 5; i++) {
    put("line", { class: "grid", x1: x(10 ** i), x2: x(10 ** i), y1: top, y2: bottom });
    put("text", { x: x(10 ** i), y: bottom + 16, "text-anchor": "middle" }, i < 2 ? 10 ** i : "10" + raised(i));
  }
  const every = Math.ceil((hi - lo) / 8);
  for (let i = lo; i <= hi; i += Math.max(every, 1)) {
    put("line", { class: "grid", x1: left, x2: right, y1: y(10 ** i), y2: y(10 ** i) });
    put("text", { x: left - 6, y: y(10 ** i) + 4, "text-anchor": "end" }, i === 0 ? "1" : "10" + raised(i));
  }
  put("text", { x: left, y: height - 6 }, "number of steps K  (vertical: W2, units of the data)");
  const ends = [];
  const level = (v, name, cls) => {
    if (!(v >= 10 ** lo && v <= 10 ** hi)) return;
    put("line", { class: cls, x1: left, x2: right, y1: y(v), y2: y(v) });
    ends.push([y(v), name, cls]);
  };
  level(found.trivial, "‖X₀‖", "level");
  level(s.eps, "ε", "level");
  const curve = (values, name, cls) => {
    let d = "", last = null;
    values.forEach((v, i) => {
      if (!(v >= 10 ** lo && v <= 10 ** hi * 1.0001)) { last = null; return; }
      d += `${last === null ? "M" : "L"}${x(KS[i]).toFixed(1)} ${y(v).toFixed(1)}`;
      last = y(v);
    });
    if (!d) return;
    put("path", { class: cls, d });
    ends.push([last === null ? top : last, name, cls]);
  };
  curve(lines.floor, "floor of hf", "floor");
  curve(lines.one, "Theorem 1", "one");
  curve(lines.two, "Theorem 2", "two");
  curve(lines.exact, "exact W2", "exact");
  put("line", { class: "now", x1: x(s.K), x2: x(s.K), y1: top, y2: bottom });
  for (const [v, cls] of [[found.theorem1.total, "one"], [found.theorem2.total, "two"], [found.exact, "exact"]]) {
    if (v >= 10 ** lo && v <= 10 ** hi) put("circle", { class: "dot-" + cls, cx: x(s.K), cy: y(v), r: 3.5 });
  }
  ends.sort((a, b) => a[0] - b[0]);
  let at = -Infinity;
  const over = ends.reduce((n, e) => Math.max(n + 14, e[0]), -Infinity) - bottom;
  for (const [where, name, cls] of ends) {
    at = Math.max(at + 14, where - Math.max(over, 0));
    put("text", { class: "name-" + cls, x: right + 5, y: at + 4 }, name);
  }
  place.innerHTML = `<svg xmlns="${SVG}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" style="--shade:${COLOURS[s.process]}">${parts.join("")}</svg>`;
  place.setAttribute("aria-label", `W2 error against the number of steps, both axes logarithmic, for ${s.process} at T = ${show(s.T)}: `
    + `Theorem 1, Theorem 2${lines.exact.length ? ", the exact error and the floor" : ""}. The table below has the numbers.`);
}

// the T at which Theorem 2 needs fewest steps: looked for in lambda(T), coarse and then fine
function bestT() {
  const slider = $("T"), cost = (u) => { slider.value = u; const s = setting(); return iterations(prepare(s), "sharp", 1).K ?? Infinity; };
  const before = slider.value, lo = Number(slider.min), hi = Number(slider.max);
  let best = before, least = Infinity, centre = (lo + hi) / 2, half = (hi - lo) / 2;
  for (let round = 0; round < 4; round++, half /= 5) {
    for (let i = -5; i <= 5; i++) {
      const u = Math.min(Math.max(centre + half * i / 5, lo), hi), K = cost(u);
      if (K < least) { least = K; best = u; }
    }
    centre = Number(best);
  }
  slider.value = best;
  redraw();
}

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; redraw(); });
}
form.addEventListener("input", (event) => {
  if (event.target.id === "explorer-process") {
    for (const [name, value] of Object.entries(PROCESSES[event.target.value].defaults)) $("p-" + name).value = Math.log10(value);
  }
  soon();
});
form.addEventListener("submit", (event) => event.preventDefault());
$("best").addEventListener("click", bestT);
addEventListener("resize", soon);
$("app").hidden = false;
redraw();
window.wboundEvaluate = evaluate;
window.wboundRedraw = redraw;

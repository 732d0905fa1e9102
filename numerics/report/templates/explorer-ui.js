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
const own = { data: null, tape: null };

// what the sliders say
function setting() {
  const process = $("process").value, row = PROCESSES[process], parameters = {};
  for (const name of Object.keys(row.defaults)) parameters[name] = power("p-" + name);
  const gaussian = $("gaussian").checked;
  if (gaussian) $("L0").value = $("m0").value;
  const m0 = own.data ? facts(own.data).m0 : power("m0"), L0 = gaussian || read("L0") <= read("m0") ? m0 : power("L0");
  const T = Number(timeOf(row.make(parameters), read("T") * Math.LN10 - Math.log(m0)).toPrecision(4));
  return {
    process, parameters, m0, L0, T, d: Math.round(power("d")), eps: power("eps"), scheme: $("scheme").value,
    start: $("start").value, M: read("M") <= Number($("M").min) ? 0 : power("M"), M1: power("M1"), K: Math.round(power("K")),
    ...(own.data ? { data: own.data } : {}), ...(own.tape ? { tape: own.tape } : {}),
  };
}

function label(name, text) {
  $(name + "-out").textContent = text;
  $(name).setAttribute("aria-valuetext", text);
}

// a drawn line of the exact law on the reader's data is summed step by step: up to so many steps
const OWN_STEPS = 1000, KS = [];
for (let i = 0; i <= 20; i++) { const k = Math.round(Math.pow(10, i / 4)); if (!KS.includes(k)) KS.push(k); }

function redraw() {
  const started = performance.now(), s = setting();
  let found;
  if (s.tape && !s.data && s.m0 !== s.L0) { $("said").textContent = "A tape's exact W2 is of Gaussian data: give variances, or L₀ = m₀."; return 0; }
  try { found = evaluate(s); } catch (error) { $("said").textContent = error.message; return 0; }
  const lines = { one: [], two: [], exact: [], floor: [] };
  if (s.tape) {
    labels(s, found);
    place.replaceChildren();
    table(s, found);
    directions(found);
    sameNumbers(s);
    drawn = { setting: s, found, ms: performance.now() - started };
    return drawn.ms;
  }
  const x = own.data ? facts(own.data) : {}, m = prepare({ ...s, ...x, L0: own.data ? x.L0 || x.m0 : s.L0 });
  if (own.data) m.gaussian = false;
  const names = [...needed(m, "sharp"), "published", ...(m.gaussian ? ["law"] : [])], bounded = found.theorem2 !== null;
  for (const K of KS) {
    if (own.data) lines.exact.push(K <= OWN_STEPS ? total(ownLaw(m, K, own.data, s.start === "exact" ? "exact" : "prior")) : NaN);
    if (!bounded) continue;
    const g = K <= 600 ? oneByOne(m, K, names) : expanded(m, K, names);
    lines.one.push(CRITERIA.published(m, g).total);
    lines.two.push(CRITERIA.sharp(m, g).total);
    if (m.gaussian) { lines.exact.push(law(m, g, m.start).w2); lines.floor.push(floorW2(m, K)); }
  }
  labels(s, found);
  draw(s, found, lines);
  table(s, found);
  directions(own.data ? found : {});
  sameNumbers(s);
  drawn = { setting: s, found, ms: performance.now() - started };
  return drawn.ms;
}

function labels(s, found) {
  for (const [name, value] of Object.entries(s.parameters)) label("p-" + name, show(value, 3));
  for (const box of form.querySelectorAll("[data-parameter]")) box.hidden = !(box.dataset.parameter in s.parameters);
  for (const name of ["d", "m0", "L0", "M1", "M", "eps", "T", "K"]) $(name).closest(".dial").hidden =
    (own.data && ["d", "m0", "L0"].includes(name)) || (own.tape && ["M1", "M", "eps", "T", "K"].includes(name));
  $("gaussian").closest(".tick").hidden = !!own.data;
  for (const name of ["scheme", "best"]) { const e = $(name); (e.closest(".dial") || e).hidden = !!own.tape; }
  $("process").closest("fieldset").hidden = $("eps").closest("fieldset").hidden = !!own.tape;
  for (const option of $("start").options) option.hidden = option.disabled = !own.tape && ["own", "standard"].includes(option.value);
  label("d", show(s.d));
  label("eps", show(s.eps, 3));
  label("m0", show(s.m0, 3));
  label("L0", show(s.L0, 3));
  label("M", show(s.M, 3));
  if (s.tape) return;
  label("T", `${show(s.T, 4)}, λ = ${show(Math.exp(found.logLamT), 3)}`);
  label("K", show(s.K));
  const gaussian = s.m0 === s.L0 && !s.data;
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

function fill(rows) {
  $("rows").replaceChildren(...rows.map((row) => {
    const tr = document.createElement("tr");
    tr.append(...row.map((text, i) => cell(text, i ? "td" : "th")));
    return tr;
  }));
}

function table(s, found) {
  const largest = found.directions ? most(found.directions) : "";
  if (s.tape || found.theorem2 === null) {
    const what = s.tape ? `exact W2 (${s.tape.title})` : `exact W2 (${s.scheme}, exact score)`;
    fill([[what, show(found.exact), "", "", "", "—"]]);
    const why = s.tape ? `The tape makes ${show(s.tape.K)} calls.` : "Some variance is 0: A1 has no density, and bounds refuse.";
    $("said").textContent = `${why} Exact W2 ${show(found.exact)}, ${show(found.exact / found.trivial, 3)} of ‖X₀‖ = ${show(found.trivial)}. ${largest}`;
    return;
  }
  const one = found.theorem1, two = found.theorem2, rows = [
    ["Theorem 1 (em)", one.failed ? `steps too long (k = ${show(one.failed)})` : show(one.total),
      ...(one.failed ? ["—", "—", "—"] : [one.initialisation, one.discretisation, one.score].map((x) => show(x, 3))), steps(found.K.theorem1)],
    [`Theorem 2 (${two.statement})`, show(two.total), show(two.initialisation, 3), show(two.discretisation, 3), show(two.score, 3), steps(found.K.theorem2)],
    [`exact W2 (${s.scheme}, exact score)`, show(found.exact), "", "", "", steps(found.K.exact)],
    ["floor (hf, exact start)", show(found.floor), "", "", "", found.K.floor === null ? "—" : steps({ K: found.K.floor })],
  ];
  fill(rows);
  const ratio = found.exact ? two.total / found.exact : null;
  $("said").textContent = [
    two.total === null ? "Theorem 2 is infinite here: the steps are too long." : two.total >= found.trivial
      ? `At K = ${show(s.K)} Theorem 2 is vacuous: above ‖X₀‖ = ${show(found.trivial)}.`
      : `At K = ${show(s.K)} Theorem 2 gives ${show(two.total)}${ratio ? `, ${show(ratio, 3)} times the exact W2` : ""}.`,
    found.K.theorem2.K === null ? "No K up to 10¹⁸ brings Theorem 2 below ε at this T." : `Theorem 2 reaches ε with K = ${steps(found.K.theorem2)}.`,
    largest,
  ].join(" ").trim();
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
    let d = "", last = null, seen = top;
    values.forEach((v, i) => {
      if (!(v >= 10 ** lo && v <= 10 ** hi * 1.0001)) { last = null; return; }
      d += `${last === null ? "M" : "L"}${x(KS[i]).toFixed(1)} ${y(v).toFixed(1)}`;
      last = seen = y(v);
    });
    if (!d) return;
    put("path", { class: cls, d });
    ends.push([seen, name, cls]);
  };
  curve(lines.floor, "floor of hf", "floor");
  curve(lines.one, "Theorem 1", "one");
  curve(lines.two, "Theorem 2", "two");
  curve(lines.exact, "exact W2", "exact");
  put("line", { class: "now", x1: x(s.K), x2: x(s.K), y1: top, y2: bottom });
  for (const [v, cls] of [[found.theorem1 && found.theorem1.total, "one"], [found.theorem2 && found.theorem2.total, "two"], [found.exact, "exact"]]) {
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

// where most of W2 is
function most(by) {
  const sum = by.w2.reduce((s, v) => s + v * v, 0);
  if (!(sum > 0) || new Set(by.variances).size < 2) return "";
  const i = by.w2.indexOf(Math.max(...by.w2));
  return `The direction of variance ${show(by.variances[i], 3)} brings ${show(100 * by.w2[i] ** 2 / sum, 3)} % of W2².`;
}

// a point for each direction: its W2 over its variance, both logarithmic
function directions(found) {
  const by = found.directions, host = $("directions"), box = host.closest("figure");
  const seen = by ? by.variances.map((v, i) => [v, by.w2[i]]).filter(([v, w]) => v > 0 && w > 0) : [];
  box.hidden = new Set(seen.map(([v]) => v)).size < 2;
  if (box.hidden) return host.replaceChildren();
  const width = Math.max(host.clientWidth, 260), height = 190, left = 46, right = width - 12, top = 10, bottom = height - 36;
  const ends = (k) => { const v = seen.map((p) => Math.log10(p[k])); return [Math.floor(Math.min(...v) - 0.05), Math.ceil(Math.max(...v) + 0.05)]; };
  const [x0, x1] = ends(0), [y0, y1] = ends(1), x = (v) => left + (right - left) * (Math.log10(v) - x0) / (x1 - x0);
  const y = (v) => bottom - (bottom - top) * (Math.log10(v) - y0) / (y1 - y0), tick = (i) => i === 0 ? "1" : "10" + raised(i);
  let out = "";
  for (let i = x0, every = Math.ceil((x1 - x0) / Math.max((right - left) / 60, 2)); i <= x1; i += every)
    out += `<line class="grid" x1="${x(10 ** i)}" x2="${x(10 ** i)}" y1="${top}" y2="${bottom}"/><text x="${x(10 ** i)}" y="${bottom + 15}" text-anchor="middle">${tick(i)}</text>`;
  for (let i = y0, every = Math.ceil((y1 - y0) / 5); i <= y1; i += every)
    out += `<line class="grid" x1="${left}" x2="${right}" y1="${y(10 ** i)}" y2="${y(10 ** i)}"/><text x="${left - 6}" y="${y(10 ** i) + 4}" text-anchor="end">${tick(i)}</text>`;
  for (const [v, w] of seen) out += `<circle cx="${x(v).toFixed(1)}" cy="${y(w).toFixed(1)}" r="2.6"/>`;
  out += `<text x="${left}" y="${height - 4}">variance of the direction  (vertical: its W2)</text>`;
  host.innerHTML = `<svg xmlns="${SVG}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">${out}</svg>`;
  host.setAttribute("aria-label", `Exact W2 of each of ${seen.length} directions over its variance, both axes logarithmic. ${most(by)}`);
}

// the command and the Python that give these numbers; files by their names
const quoted = (name) => `'${name.replace(/'/g, "'\\''")}'`, literal = (name) => JSON.stringify(name);
function sameNumbers(s) {
  const data = s.data, typed = data && data.name === null, file = data && !typed;
  const list = typed ? data.variances : new Array(s.d).fill(1 / s.m0), dense = !data || data.variances[0] > 0;
  const load = file ? `datasets.load(${literal(data.name)})` : `datasets.from_spectrum([${list.join(", ")}])`;
  const given = file ? quoted(data.name) : list.join(","), exact = data || s.m0 === s.L0;
  let command, python;
  if (s.tape) {
    command = `wbound audit --tape ${quoted(s.tape.name)} --data ${given} --start ${s.start} --json`;
    python = `from numerics.recorders.audited import audit_tape\nfrom numerics.targets import datasets\nfrom wbound import Tape\n\n`
      + `data = ${load}\nprint(audit_tape(Tape.load(${literal(s.tape.name)}), data, ${literal(s.start)}).rows[0].parts.w2)`;
  } else {
    const p = Object.entries(s.parameters), start = s.start === "exact" ? "exact" : "prior";
    const how = `T=${s.T}, K=${s.K}, scheme="${s.scheme}", start="${start}"`, known = data ? `--data ${given}` : `--d ${s.d} --m0 ${s.m0} --L0 ${s.L0} --mean-norm 0`;
    command = dense ? `wbound bound --process ${s.process}${p.map(([k, v]) => ` -p ${k}=${v}`).join("")} --T ${s.T} --K ${s.K} ${known} `
      + `--scheme ${s.scheme} --start ${start}${s.M ? ` --score-bias ${s.M}` : ""} --json`
      : "# some variance is 0: bounds refuse; the Python below has the exact W2";
    python = `import wbound\n${exact ? "from numerics import exact_w2\n" : ""}${data ? "from numerics.targets import datasets\n" : ""}\n`
      + `p = wbound.process(${[literal(s.process), ...p.map(([k, v]) => `${k}=${v}`)].join(", ")})\n`
      + `data = ${data ? `${load}.gaussian` : `wbound.LogConcave(d=${s.d}, m0=${s.m0}, L0=${s.L0}, second_moment=${s.d / s.m0}, mean_norm=0.0)`}\n`
      + (dense ? `print(wbound.w2_bound(p, data, ${how}${s.M ? `, score_bias=${s.M}` : ""}).total)\n` : "")
      + (exact ? `print(exact_w2(p, data, ${how}))` : "");
  }
  $("command").textContent = command;
  $("python").textContent = python.trim();
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
// the reader's own: read here, and sent nowhere
function takeData(make, text) {
  try {
    own.data = make();
    const { variances: x, n } = own.data, zeros = x.filter((v) => v === 0).length;
    $("data-said").textContent = `${text}${n ? `${show(n)} samples, ` : ""}d = ${show(x.length)}, variances ${show(x[0], 3)} to ${show(x[x.length - 1], 3)}`
      + `${zeros ? `, ${zeros} of them 0` : ""}.`;
  } catch (error) {
    own.data = null;
    $("data-said").textContent = `Not read: ${error.message}.`;
  }
  $("dials").hidden = !own.data;
  soon();
}

function takeTape(text, name) {
  try {
    own.tape = { ...readTape(text), name };
    $("start").value = "own";
    $("tape-said").textContent = `${name}: ${own.tape.title}, ${show(own.tape.K)} calls.`;
  } catch (error) {
    own.tape = null;
    $("tape-said").textContent = `Not read: ${error.message}.`;
  }
  $("untape").hidden = !own.tape;
  soon();
}

const reading = {
  samples: (file) => file.arrayBuffer().then((buffer) => { $("variances").value = ""; takeData(() => ownData(npy(buffer), file.name), `${file.name}: `); }),
  tape: (file) => file.text().then((text) => takeTape(text, file.name)),
};
for (const name of ["samples", "tape"]) $(name).addEventListener("change", () => { if ($(name).files.length) reading[name]($(name).files[0]); });
$("variances").addEventListener("input", () => {
  if ($("variances").value.trim()) takeData(() => ownSpectrum(listed($("variances").value), null), ""); else $("dials").click();
});
$("dials").addEventListener("click", () => {
  own.data = null;
  $("variances").value = $("samples").value = $("data-said").textContent = "";
  $("dials").hidden = true;
  soon();
});
$("untape").addEventListener("click", () => {
  own.tape = null;
  $("tape").value = $("tape-said").textContent = "";
  $("untape").hidden = true;
  $("start").value = "prior";
  soon();
});
$("app").addEventListener("dragover", (event) => event.preventDefault());
$("app").addEventListener("drop", (event) => {
  event.preventDefault();
  for (const file of event.dataTransfer.files) reading[file.name.endsWith(".json") ? "tape" : "samples"](file);
});
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => {
  const done = () => { button.textContent = "copied"; setTimeout(() => { button.textContent = "copy"; }, 1500); };
  const range = document.createRange(), selection = getSelection();
  range.selectNodeContents(document.getElementById(button.dataset.copy));
  selection.removeAllRanges();
  selection.addRange(range);
  if (document.execCommand("copy")) done();
});
form.addEventListener("submit", (event) => event.preventDefault());
$("best").addEventListener("click", bestT);
addEventListener("resize", soon);
$("app").hidden = false;
redraw();
window.wboundEvaluate = evaluate;
window.wboundRedraw = redraw;
window.wboundShown = () => drawn;
window.wboundRead = { listed, npy, ownData, ownSpectrum, readTape };

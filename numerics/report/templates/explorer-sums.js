// The explorer's sums over K steps, its statements, and the search for K(eps).

// ---- sums over K steps ---------------------------------------------------------------------------

// A group: a row of the step's growth (or none) and rows to sum with a power of P_k, the product over j > k.
const GROUPS = {
  sharp: { terms: sharpTerms, powers: [1, 2, 1], grows: true },
  ancestral: { terms: ancestralTerms, powers: [1, 1, 1, 1], grows: false },
  published: { terms: publishedTerms, powers: [1, 1, 1], grows: true },
  law: { terms: lawTerms, powers: [2, 2], grows: true },
};
const needed = (m, name) => name === "sharp" && m.scheme === "ddpm" ? ["sharp", "ancestral"] : [name];

// sums of the groups named, one by one; keep: store Eq. 7's rows for the recursion
const kept = { gamma: new Float64Array(EXACT), drift: new Float64Array(EXACT), noise: new Float64Array(EXACT) };
function oneByOne(m, K, names, keep) {
  const eta = m.T / K, row = new Float64Array(5);
  const found = names.map((name) => ({ name, logP: 0, largest: 0, sums: [0, 0, 0, 0], worst: 0, at: 0 }));
  for (let i = 0; i < K; i++) {
    const lo = i * eta;
    step(m, lo, eta);
    for (const g of found) {
      const group = GROUPS[g.name], first = group.grows ? 1 : 0;
      group.terms(m, row);
      const P = group.grows ? Math.exp(g.logP) : 1;
      for (let j = 0; j < group.powers.length; j++) g.sums[j] += row[first + j] * (group.powers[j] === 1 ? P : P * P);
      if (group.grows) { g.logP += row[0]; if (!(g.logP <= g.largest)) g.largest = g.logP; }
      if (g.name === "published" && !(row[4] <= 1 + 1e-12)) { g.worst = row[4]; g.at = K - i; }
      if (g.name === "sharp" && keep) {
        kept.gamma[i] = Math.exp(row[0]); kept.drift[i] = row[1] + m.M * row[3]; kept.noise[i] = row[2];
      }
    }
  }
  return Object.fromEntries(found.map((g) => [g.name, g]));
}

// the same for any K: the steps nearest to the data one by one, the rest by Euler-Maclaurin (midpoint)
function expanded(m, K, names) {
  const eta = m.T / K, r = RULES.panel, n = r.x.length, row = new Float64Array(5), out = {};
  for (const name of names) out[name] = { name, logP: 0, largest: 0, sums: [0, 0, 0, 0], worst: 0, at: 0 };
  const at = (name, lo, w, values) => {
    const group = GROUPS[name], first = group.grows ? 1 : 0;
    group.terms(m, row);
    const g = group.grows ? row[0] : 0;
    for (let j = 0; j < group.powers.length; j++) values[j] = row[first + j];
    if (name === "published" && !(row[4] <= 1)) { out[name].worst = row[4]; out[name].at = K; }
    return g;
  };
  const values = new Float64Array(4), last = {};
  for (let i = 0; i <= BLOCK; i++) {
    step(m, i * eta, eta);
    for (const name of names) {
      const o = out[name], powers = GROUPS[name].powers, g = at(name, i * eta, eta, values), P = Math.exp(o.logP);
      const terms = powers.map((q, j) => values[j] * (q === 1 ? P : P * P));
      if (i < BLOCK) { terms.forEach((x, j) => { o.sums[j] += x; }); o.logP += g; last[name] = { g, terms }; }
      else {
        terms.forEach((x, j) => { o.sums[j] += (x - last[name].terms[j]) / 24; });
        o.logP += (g - last[name].g) / 24;
      }
    }
  }
  const edges = panels(m, BLOCK * eta, names.includes("published"));
  const phi = names.map(() => Array.from({ length: n }, () => new Float64Array(4))), grown = names.map(() => new Float64Array(n));
  for (let e = 0; e + 1 < edges.length; e++) {
    const width = edges[e + 1] - edges[e];
    for (let i = 0; i < n; i++) {
      const lo = edges[e] + width * r.x[i] - 0.5 * eta;
      step(m, lo, eta);
      names.forEach((name, k) => { grown[k][i] = at(name, lo, eta, phi[k][i]); });
    }
    names.forEach((name, k) => {
      const o = out[name], powers = GROUPS[name].powers;
      let whole = 0;
      for (let i = 0; i < n; i++) {
        let inner = 0;
        for (let j = 0; j < n; j++) inner += grown[k][j] * r.cumulative[i][j];
        const P = Math.exp(o.logP + width * inner / eta - 0.5 * grown[k][i]);
        powers.forEach((q, j) => { o.sums[j] += r.w[i] * width / eta * phi[k][i][j] * (q === 1 ? P : P * P); });
        whole += grown[k][i] * r.w[i];
      }
      o.logP += width * whole / eta;
    });
  }
  if (K < 1e7) {
    const ends = names.map(() => []);
    for (const lo of [m.T - eta, m.T]) {
      step(m, lo, eta);
      names.forEach((name, k) => { const v = new Float64Array(4), g = at(name, lo, eta, v); ends[k].push([g, v]); });
    }
    names.forEach((name, k) => {
      const o = out[name], [[g, v], [g2, v2]] = ends[k], total = o.logP;
      GROUPS[name].powers.forEach((q, j) => {
        o.sums[j] -= (v2[j] * Math.exp(q * total) - v[j] * Math.exp(q * (total - g))) / 24;
      });
      o.logP -= (g2 - g) / 24;
    });
  }
  for (const name of names) if (out[name].logP > UNSTABLE) out[name].largest = out[name].logP;
  return out;
}

// edges of [a, T] between which log t and the clock's logarithms move by about a unit
function panels(m, a, kinked) {
  const { p, T } = m, t = [], N = 48;
  for (let i = 0; i <= N; i++) t.push(a * Math.pow(T / a, i / N), a + (T - a) * i / N);
  t.sort((x, y) => x - y);
  t[0] = a; t[t.length - 1] = T;
  const move = t.map((x) => {
    const log = p.logLam(x);
    return Math.log(x / a) + softplus(m.logM + log) + softplus(m.logL + log) + (m.ve ? 0 : p.whole(x));
  });
  const n = Math.max(Math.ceil(0.7 * (move[move.length - 1] - move[0])), 2), edges = [a];
  for (let i = 1, j = 0; i < n; i++) {
    const goal = move[0] + (move[move.length - 1] - move[0]) * i / n;
    while (move[j + 1] < goal) j++;
    edges.push(t[j] + (t[j + 1] - t[j]) * (goal - move[j]) / (move[j + 1] - move[j]));
  }
  edges.push(T);
  if (kinked && m.logLamT > -m.logL) {
    if (m.kink === undefined) m.kink = timeOf(p, -m.logL);
    if (m.kink > a && m.kink < T) { edges.push(m.kink); edges.sort((x, y) => x - y); }
  }
  return edges;
}

const gather = (m, K, names) => K <= SUMMED ? oneByOne(m, K, names) : expanded(m, K, names);

// the time at which log lambda has a value
function timeOf(p, goal) {
  let lo = -690, hi = 0;
  while (p.logLam(Math.exp(hi)) < goal && hi < 600) hi += 1;
  while (lo < hi - 2 && !(p.logLam(Math.exp(lo)) < goal)) lo = 0.5 * (lo + hi);
  lo = Math.min(lo, hi - 1);
  for (let i = 0; i < 200 && hi - lo > 1e-16 * Math.abs(hi) && hi - lo > 4e-16; i++) {
    const mid = 0.5 * (lo + hi);
    if (p.logLam(Math.exp(mid)) < goal) lo = mid; else hi = mid;
  }
  return Math.exp(0.5 * (lo + hi));
}

// ---- statements ----------------------------------------------------------------------------------

const unitAtT = (m) => Math.exp(-softplus(m.logM + m.logLamT));

// E_0 of a law whose mean is known: ||X_0||, or Eq. 8 if smaller
function startError(m) {
  if (m.start === "exact") return 0;
  const u = m.logM + m.logLamT, trivial = Math.sqrt(m.second);
  if (u <= 1e-15) return trivial;
  const centred = u > 20 ? m.d / m.m0 * Math.exp(-u) : -m.d * Math.exp(m.logLamT) * Math.log1p(-Math.exp(-2 * u));
  return Math.min(trivial, Math.sqrt(m.mean * m.mean + centred));
}

// A criterion at K: constant + linear + (start^2 + squared^2)^(1/2)
const value = (constant, linear, start, squared, score) => {
  const total = constant + linear + Math.hypot(start, squared);
  return { constant, linear, start, squared, score, total: Number.isNaN(total) ? Infinity : total };
};
const NEVER = value(Infinity, Infinity, 0, 0, 0);

function sharpParts(m, g) {  // Eq. 7''
  const s = g.sharp, start = startError(m) * unitAtT(m);
  if (!(s.largest <= UNSTABLE)) return NEVER;
  const score = m.M ? m.M * s.sums[2] : 0;
  return value(score, s.sums[0], start ? start * Math.exp(s.logP) : 0, Math.sqrt(s.sums[1]), score);
}

function ancestralParts(m, g) {  // Eq. 9' at theta = 2
  const s = g.ancestral.sums, score = m.M ? m.M * s[2] : 0;
  const C = m.d * m.L0 * m.L0 * (1 + softplus(m.logL + m.logLamT));
  return value(score, s[0] + 0.25 * Math.sqrt(C * s[3]), startError(m) * unitAtT(m), Math.sqrt(s[1]), score);
}

function publishedParts(m, g) {  // Eq. 5
  const s = g.published;
  if (s.worst) return { ...NEVER, at: s.at, worst: s.worst };
  const start = m.start === "exact" ? 0 : Math.sqrt(m.second) * unitAtT(m) * Math.exp(Math.min(s.logP, 700));
  const score = m.M ? m.M * s.sums[2] : 0;
  return value(start + score, s.sums[0] + m.M1 * (1 + m.omega) * s.sums[1], 0, 0, score);
}

// W2 of N(0, v) and N(0, v + excess) in d dimensions
const apart = (m, v, excess) => Math.sqrt(m.d) * Math.abs(Math.max(excess, -v)
  / Math.max(Math.sqrt(Math.max(v + excess, 0)) + Math.sqrt(v), 1e-300));

function law(m, g, start) {  // W2 of the output to the data
  const s = g.law, v = 1 / m.m0, scale = Math.exp(2 * s.logP), unit = Math.exp(-2 * softplus(m.logM + m.logLamT));
  const excess = s.sums[0] + (start === "exact" ? 0 : -v * scale * unit);
  if (excess >= -0.5 * v) return { excess, w2: apart(m, v, excess) };
  // little is left of the start's variance: what was injected, and that
  const first = Math.exp((start === "exact" ? softplus(m.logM + m.logLamT) - m.logM : m.logLamT)
    - 2 * softplus(m.logM + m.logLamT)) * scale;
  return { excess, w2: Math.sqrt(m.d) * Math.abs((s.sums[1] + first - v) / (Math.sqrt(s.sums[1] + first) + Math.sqrt(v))) };
}

function lawParts(m, g) {  // W2 from p_T, and what the prior start changes
  const v = 1 / m.m0, exact = law(m, g, "exact"), prior = law(m, g, "prior");
  return value(apart(m, Math.max(v + exact.excess, 0), prior.excess - exact.excess), exact.w2, 0, 0, 0);
}

const CRITERIA = {
  sharp: (m, g) => {
    const a = sharpParts(m, g), b = g.ancestral ? ancestralParts(m, g) : a;
    return b.total < a.total ? b : a;
  },
  published: publishedParts,
  law: lawParts,
};

// ---- K(eps) at this T ----------------------------------------------------------------------------

function predicted(v, K, eps, order) {
  const A = eps - v.constant;
  if (!(A > 0) || v.start >= A || !(v.linear + v.squared < 1e100)) return Infinity;
  const linear = v.linear / A, squared = v.squared / A, room = 1 - Math.pow(v.start / A, 2);
  const power = (linear + Math.sqrt(Math.max(linear * linear + (squared * squared - linear * linear) * room, 0))) / room;
  if (!(power > 0)) return 1;
  const log = Math.log(K) + Math.log(power) / order;
  return log < 300 ? Math.exp(log) : Infinity;
}

// the smallest K on the branch where the criterion falls: K works and K - 1 does not
function iterations(m, name, order) {
  const of = CRITERIA[name], names = needed(m, name), seen = new Map();
  const at = (K) => { if (!seen.has(K)) seen.set(K, of(m, gather(m, K, names))); return seen.get(K); };
  const far = at(1e18), floor = far.constant + far.start;
  if (!(floor < m.eps)) return { K: null, floor: Number.isFinite(floor) ? floor : null };
  let k = Math.max(Math.min(Math.ceil(predicted(far, 1e18, m.eps, order)), 1e17), 1);
  for (let i = 0; i < 20; i++) {
    let next = predicted(at(k), k, m.eps, order);
    next = Number.isFinite(next) ? next : 4 * k;
    next = Math.max(1, Math.ceil(Math.min(Math.max(next, k / 4), 4 * k)));
    if (next === k || Math.abs(next - k) <= 1e-9 * k) { k = next; break; }
    const near = Math.abs(next - k) <= 1;
    k = next;
    if (near) break;
  }
  const works = (K) => at(K).total <= m.eps, least = k > EXACT ? Math.max(1, Math.floor(1e-8 * k)) : 1;
  let lo, hi, size = least;
  if (works(k)) {
    for (hi = k, lo = k - size; lo >= 1 && works(lo); size *= 4, lo = hi - size) hi = lo;
    lo = Math.max(lo, 0);
  } else {
    for (lo = k, hi = k + size; !works(hi); size *= 4, hi = lo + size) { lo = hi; if (size > 1e18) return { K: null, floor: null }; }
  }
  while (hi - lo > least) { const mid = Math.floor((lo + hi) / 2); if (mid === lo) break; if (works(mid)) hi = mid; else lo = mid; }
  return { K: hi, floor };
}

// ---- what the page and the tests call ------------------------------------------------------------

const finite = (x) => Number.isFinite(x) ? x : null;

// both theorems, the exact W2 and the floor at (T, K)
function at(m, K, options = {}) {
  const summed = K <= (options.summed || EXACT), names = [...needed(m, "sharp"), "published", ...(m.gaussian ? ["law"] : [])];
  const g = summed ? oneByOne(m, K, names, true) : expanded(m, K, names);
  const parts = sharpParts(m, g), one = publishedParts(m, g);
  let seven = parts.total;
  if (summed && Number.isFinite(seven)) {
    let u = startError(m) * unitAtT(m);
    for (let i = K - 1; i >= 0; i--) { const w = kept.gamma[i] * u + kept.drift[i]; u = Math.sqrt(w * w + kept.noise[i]); }
    seven = u;
  }
  const nine = g.ancestral ? ancestralParts(m, g) : null, other = nine && nine.total < seven;
  const best = other ? nine : parts;
  return {
    theorem2: {
      total: finite(other ? nine.total : seven), eq7: finite(seven), eq9: nine && finite(nine.total), statement: other ? "Eq. 9′, θ = 2" : "Eq. 7",
      initialisation: finite(best.start), discretisation: finite(best.linear + best.squared), score: finite(best.score),
    },
    theorem1: {
      total: finite(one.total), initialisation: finite(one.constant - one.score), discretisation: finite(one.linear),
      score: finite(one.score), failed: one.at || null, by: one.worst || null,
    },
    exact: m.gaussian ? finite(law(m, g, m.start).w2) : null,
    floor: m.gaussian ? floorW2(m, K) : null,
  };
}

// Eq. 11 as W2, and Eq. 12: scheme hf from p_T, any process and grid
const varrho = (m) => Math.exp(-0.5 * softplus(m.logM + m.logLamT));
function floorW2(m, K) {
  const excess = 4 / K * Math.pow(1 - varrho(m), 2);
  return Math.sqrt(m.d / m.m0) * excess / (Math.sqrt(1 + excess) + 1);
}
function floorK(m) {
  const u = m.eps * Math.sqrt(m.m0 / m.d);
  return 4 * Math.pow(1 - varrho(m), 2) / (2 * u + u * u);
}

// the facts of A1 of the reader's own data, which bounds go by
function facts(data) {
  const x = data.variances, square = data.mean.reduce((s, v) => s + v * v, 0);
  return { d: x.length, m0: 1 / x[x.length - 1], L0: x[0] > 0 ? 1 / x[0] : null, mean_norm: Math.sqrt(square),
    second_moment: x.reduce((s, v) => s + v, 0) + square };
}

// the exact W2 by direction for data or a sampler of the reader's own; data of the dials are N(0, I/m_0)
function ownExact(s, m) {
  const data = s.data || { variances: new Array(s.d).fill(1 / s.m0), mean: new Array(s.d).fill(0) };
  const start = s.tape ? s.start : s.start === "exact" ? "exact" : "prior";
  const squares = s.tape ? tapeLaw(s.tape, data, start) : ownLaw(m, s.K, data, start);
  return { exact: total(squares), directions: { variances: data.variances, w2: squares.map(Math.sqrt) } };
}

function evaluate(given) {
  const own = given.data ? facts(given.data) : {}, s = { ...given, ...own, L0: own.L0 || given.L0 };
  if (given.data && own.L0 === null) s.L0 = s.m0;  // no bound: A1 needs a density
  if (given.tape) {
    const by = ownExact(s), x = by.directions.variances;
    return { ...by, trivial: Math.sqrt(own.second_moment || x.reduce((a, b) => a + b, 0)) };
  }
  const m = prepare(s);
  if (given.data) m.gaussian = false;
  const found = at(m, s.K);
  if (given.data) {
    Object.assign(found, ownExact(s, m));
    if (own.L0 === null) found.theorem1 = found.theorem2 = null;
  }
  return {
    ...found, logLamT: m.logLamT, M1: m.M1, omega: m.omega, trivial: Math.sqrt(m.second),
    K: {
      theorem1: found.theorem1 && iterations(m, "published", 0.5),
      theorem2: found.theorem2 && iterations(m, "sharp", 1),
      exact: m.gaussian ? iterations(m, "law", 1) : null, floor: m.gaussian ? floorK(m) : null,
    },
  };
}

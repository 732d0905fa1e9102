// The explorer's engine: the short recursions and the search for K(eps); the formulas above are printed from sympy.
// Everything is carried in log lambda and in units of s_k = alpha_k (1 + m_0 lambda_k), as in the library.
// Steps are [lo, lo + w] of forward time, counted from the data's end.

const SUMMED = 1024, EXACT = 16384, BLOCK = 128, UNSTABLE = 300, LONG = 1;
const softplus = (x) => Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0);
const logistic = (x) => 1 / (1 + Math.exp(-x));

function expm1Minus(x) {  // e^x - 1 - x
  if (Math.abs(x) >= 0.1) return Math.expm1(x) - x;
  let s = 1;
  for (let n = 10; n > 0; n--) s = 1 + s * x / (n + 2);
  return 0.5 * x * x * s;
}

function sinhMinus(x) {  // sinh x - x
  if (x >= 0.5) return Math.sinh(x) - x;
  const y = x * x;
  let s = 1;
  for (let n = x < 0.01 ? 2 : 7; n > 0; n--) s = 1 + s * y / ((2 * n + 2) * (2 * n + 3));
  return s * y * x / 6;
}

// log((1 + c lam_1)/(1 + c lam_0)) from log c, log lam and ratio = lam_1/lam_0 - 1
const growth = (logC, lo, hi, ratio) => ratio > 1e13
  ? softplus(logC + hi) - softplus(logC + lo) : Math.log1p(logistic(logC + lo) * ratio);

function prepare(s) {
  const row = PROCESSES[s.process], p = row.make({ ...row.defaults, ...s.parameters });
  const m = {
    p, ve: row.family === "ve", kappa: p.kappa(), coefficients: SCHEMES[row.family][s.scheme], scheme: s.scheme,
    start: s.start || "prior", T: s.T, K: s.K, d: s.d, eps: s.eps, m0: s.m0, L0: s.L0, M: s.M || 0,
    logM: Math.log(s.m0), logL: Math.log(s.L0), second: s.second_moment || s.d / s.m0, gaussian: s.m0 === s.L0, M1: 0, o: {}, h: {},
  };
  m.logAlphaT = m.ve ? 0 : -p.whole(s.T);
  m.logLamT = p.logLam(s.T);
  m.M1 = m.gaussian ? timeRegularity(m) : s.M1;
  const size = m.ve ? m.second + m.d * Math.exp(m.logLamT)
    : Math.exp(2 * m.logAlphaT) * m.second - m.d * m.kappa * Math.expm1(2 * m.logAlphaT);
  m.omega = Math.sqrt(Math.max(m.second, size));
  return m;
}

// A2's constant of N(0, I/m_0): the largest |w'|/w^2 on [0, T], w = alpha^2/m_0 + sigma^2
function timeRegularity(m) {
  const v = 1 / m.m0, p = m.p, off = v - m.kappa;
  const q = (t) => {
    if (m.ve) { const w = v + p.whole(t); return p.g2(t) / (w * w); }
    const a2 = Math.exp(-2 * p.whole(t)), w = m.kappa + a2 * off;
    return 2 * p.f(t) * a2 * Math.abs(off) / (w * w);
  };
  const at = [0];
  for (let i = 0; i <= 160; i++) at.push(m.T * Math.pow(10, -8 * (1 - i / 160)), m.T * (i + 0.5) / 161);
  at.sort((x, y) => x - y);
  const values = at.map(q);
  let best = Math.max(values[0], q(m.T));
  for (let i = 1; i < at.length - 1; i++) {
    if (!(values[i] >= values[i - 1] && values[i] >= values[i + 1] && values[i] > 0.5 * best)) continue;
    let lo = at[i - 1], hi = at[i + 1];
    const ratio = (Math.sqrt(5) - 1) / 2;
    let x = hi - ratio * (hi - lo), y = lo + ratio * (hi - lo), fx = q(x), fy = q(y);
    for (let n = 0; n < 45; n++) {
      if (fx > fy) { hi = y; y = x; fy = fx; x = hi - ratio * (hi - lo); fx = q(x); }
      else { lo = x; x = y; fx = fy; y = lo + ratio * (hi - lo); fy = q(y); }
    }
    best = Math.max(best, fx, fy, values[i]);
  }
  return best;
}

// ---- one step -------------------------------------------------------------------------------------

// everything that the statements share
function step(m, lo, w) {
  const { p, o, h } = m;
  h.lo = lo; h.w = w;
  h.low = lo > 0 ? p.logLam(lo) : -Infinity;
  h.high = p.logLam(lo + w);
  h.alphaLow = m.ve || lo === 0 ? 0 : -p.whole(lo);
  const s2 = lo > 0 ? Math.exp(h.low + 2 * h.alphaLow) : 0;
  m.coefficients(p.step(lo, w), m.kappa, s2, o);
  h.alphaHigh = h.alphaLow - o.F;
  h.s2 = s2;
  h.ratio = s2 > 0 ? o.Qhf / s2 : Infinity;
  h.unit = softplus(m.logM + h.low);
  h.growM = growth(m.logM, h.low, h.high, h.ratio);
}

// Theorem 2 (Eq. 7): [log gamma, b, n^2, C] in units of s_k
function sharpTerms(m, out) {
  const { o, h, d } = m, per = Math.exp(-h.unit - h.alphaLow);
  const y = growth(m.logL, h.low, h.high, h.ratio);
  h.logPsi = (y > 50 ? y : Math.log(2 * sinhMinus(y))) + softplus(m.logL + h.low) - m.logL;
  let n2 = d * Math.exp(h.logPsi - 2 * h.unit);
  if (o.q !== 0) {
    const x = Math.sqrt(n2) + Math.sqrt(d) * Math.abs(o.q / (Math.sqrt(o.Qhf) + Math.sqrt(o.Q))) * per;
    n2 = x * x;
  }
  let logGamma = 0, b = 0;
  if (o.a !== 0 || o.c !== 0) {
    const s2 = Math.exp(h.high + 2 * h.alphaHigh), lag = Math.exp(h.growM - o.F);
    const mk = logistic(m.logM + h.high) / s2, Lk = logistic(m.logL + h.high) / s2;
    logGamma = o.C * (mk + Lk) <= 2 * o.A ? Math.log1p(-(o.a - o.c * mk) * lag)
      : Math.log(Math.max(Math.abs(o.A - o.C * mk), Math.abs(o.A - o.C * Lk)) * lag);
    const gap = o.c - o.a / Lk, excess = Math.exp(2 * h.alphaHigh) * Math.max(m.second - d / m.L0, 0);
    b = Math.sqrt(d * Lk * gap * gap + o.a * o.a * excess) * per;
  }
  out[0] = logGamma; out[1] = b; out[2] = n2; out[3] = o.C * per;
}

// Eq. 9' with theta = 2, after sharpTerms: [drift, noise^2, score, weight], times P_k
function ancestralTerms(m, out) {
  const { h, d } = m, logP = -h.unit, gap = h.ratio < Infinity ? Math.log1p(h.ratio) : Infinity;
  const kappa2 = Math.exp(-gap), rest = -Math.expm1(-gap), logH = h.high + Math.log(rest), mid = 0.5 * (1 + kappa2);
  out[0] = 0.5 * rest * Math.exp(logP + logH + 0.5 * (Math.log(d * m.L0) - softplus(m.logL + h.high)));
  out[1] = kappa2 > 0 ? kappa2 * mid * mid * d * Math.exp(2 * logP + h.logPsi) : 0;
  out[2] = Math.exp(logP + logH + h.alphaHigh);
  out[3] = Math.pow(rest * (1 + kappa2), 2) * Math.exp(2 * logP + h.logPsi - 2 * m.logL);
}

// int (f + g^2 L)^2, L = min(1/sigma^2, L_0/alpha^2), by Gauss-Legendre; the kink is an end
function panel(m, lo, w, r) {
  const { p, logL, ve } = m;
  let sum = 0;
  for (let i = 0; i < r.x.length; i++) {
    const t = lo + w * r.x[i];
    const v = p.f(t) + p.g2(t) * Math.exp((ve ? 0 : 2 * p.whole(t)) + Math.min(-p.logLam(t), logL));
    sum += r.w[i] * v * v;
  }
  return sum * w;
}

function halved(m, lo, w, whole, depth) {
  const left = panel(m, lo, w / 2, RULES[10]), right = panel(m, lo + w / 2, w / 2, RULES[10]), both = left + right;
  if (depth > 40 || Math.abs(both - whole) <= 1e-13 * both) return both;
  return halved(m, lo, w / 2, left, depth + 1) + halved(m, lo + w / 2, w / 2, right, depth + 1);
}

function smooth(m, lo, w, change) {
  if (change < 1e-3) return panel(m, lo, w, RULES[2]);
  if (change < 0.02) return panel(m, lo, w, RULES[3]);
  if (change < 0.2) return panel(m, lo, w, RULES[5]);
  return halved(m, lo, w, panel(m, lo, w, RULES[10]), 0);
}

function roughness(m) {
  const { h, o, p } = m, hi = h.lo + h.w;
  const own = Math.abs(Math.log(p.g2(hi) / p.g2(h.lo))) + 2 * o.F;
  const gap = h.ratio < Infinity ? Math.log1p(h.ratio) : Infinity;
  if (h.high <= -m.logL) return smooth(m, h.lo, h.w, own);
  if (h.low >= -m.logL) return smooth(m, h.lo, h.w, own + gap);
  if (m.kink === undefined) m.kink = timeOf(p, -m.logL);
  const at = Math.min(Math.max(m.kink - h.lo, 0), h.w);
  return smooth(m, h.lo, at, own + (at < h.w ? 0 : gap)) + smooth(m, h.lo + at, h.w - at, own + gap);
}

// sup of ||Y_t - Y_{k-1}|| in the step: in r = alpha/alpha_{k-1} it grows up to a root of r^2 (r-1) = x
function displacement(m) {
  const { h, o, d, second } = m, F = o.F;
  if (F <= Math.LN2) {
    const size = Math.exp(2 * h.alphaHigh) * second + d * Math.exp(2 * h.alphaHigh + h.low), e = Math.expm1(F);
    return Math.sqrt(e * e * size + d * o.Qhf * Math.exp(-2 * F));
  }
  const a2 = Math.exp(2 * h.alphaHigh), free = d * m.kappa - second, end = Math.exp(F);
  let r = end;
  if (free > 0) {
    const x = d * m.kappa / (a2 * free);
    let lo = 1, hi = end;
    if (hi * hi * (hi - 1) > x) {
      for (let i = 0; i < 60; i++) { r = (lo + hi) / 2; if (r * r * (r - 1) > x) hi = r; else lo = r; }
    }
  }
  return Math.sqrt((r - 1) * (r - 1) * (-a2 * free + d * m.kappa / (r * r)) + d * m.kappa * (1 - 1 / (r * r)));
}

// Theorem 1 (Eq. 5): [log gamma, D, eta G, G] in units of s_k; out[4]: the step-size condition's left over right
function publishedTerms(m, out) {
  const { o, h } = m, per = Math.exp(-h.alphaLow - h.unit), z = o.F - h.growM;
  const clock = (x) => x <= 0 ? Math.exp(x) : 1 + x;
  out[0] = -expm1Minus(Math.log1p(z)) + Math.log1p(m.M1 * h.w * o.G / (1 + z));
  out[1] = Math.sqrt(h.w * roughness(m)) * displacement(m) * per;
  out[2] = h.w * o.G * per;
  out[3] = o.G * per;
  out[4] = (h.growM + clock(m.logL + h.high) - clock(m.logL + h.low)) / (2 * (1 + o.F));
}

// the exact law of N(0, I/m_0): [log r^2, defect of the variance, injected variance] in units of s_k
function lawTerms(m, out) {
  const { o, h } = m, logW = softplus(m.logM + h.high) - m.logM, per2 = Math.exp(-2 * (h.unit + h.alphaLow));
  const share = (h.ratio < Infinity ? h.ratio / (1 + h.ratio) : 1) * Math.exp(h.high - logW);
  let rho = o.Qhf * share, moved = 0;
  if (o.a !== 0) rho -= o.q;
  else if (o.q !== 0) {
    const whole = o.Qhf * o.Qhf / (o.Qhf + h.s2);
    rho = -whole * Math.exp(-m.logM - logW);
  }
  rho *= per2;
  if (o.a !== 0 || o.c !== 0) {
    const lag = Math.exp(h.growM - o.F), perW = Math.exp(-logW - 2 * h.alphaHigh);
    if (o.F > LONG) {
      const r = o.A - o.C * perW, kept = r * Math.exp(0.5 * logW - o.F - h.unit);
      const after = Math.exp(softplus(m.logM + h.low) - m.logM - 2 * h.unit);
      moved = r * lag - 1;
      rho = kept * kept + o.Q * per2 - after;
    } else {
      const slip = (o.a - o.c * perW) * lag, unitHigh = softplus(m.logM + h.high);
      moved = -slip;
      rho -= slip * (2 + moved) * Math.exp(logW - 2 * unitHigh);
    }
  }
  out[0] = moved > -0.5 ? Math.log1p(moved) : Math.log(Math.abs(1 + moved));
  out[1] = rho; out[2] = o.Q * per2;
}

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

// E_0 of a centred law: ||X_0||, or Eq. 8 if smaller
function startError(m) {
  if (m.start === "exact") return 0;
  const u = m.logM + m.logLamT, trivial = Math.sqrt(m.second);
  if (u <= 1e-15) return trivial;
  const centred = u > 20 ? m.d / m.m0 * Math.exp(-u) : -m.d * Math.exp(m.logLamT) * Math.log1p(-Math.exp(-2 * u));
  return Math.min(trivial, Math.sqrt(centred));
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
  const C = m.d * m.L0 * m.L0 * (1 + 2 * softplus(m.logL + m.logLamT));
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
  for (let i = 0; i < 30; i++) {
    let next = predicted(at(k), k, m.eps, order);
    next = Number.isFinite(next) ? next : 2 * k;
    next = Math.max(1, Math.ceil(Math.min(Math.max(next, k / 4), 4 * k)));
    if (next === k || Math.abs(next - k) <= 1e-9 * k) { k = next; break; }
    const near = Math.abs(next - k) <= 1;
    k = next;
    if (near) break;
  }
  const works = (K) => at(K).total <= m.eps, least = k > EXACT ? Math.max(1, Math.floor(1e-8 * k)) : 1;
  let lo, hi, size = least;
  if (works(k)) {
    for (hi = k, lo = k - size; lo >= 1 && works(lo); size *= 2, lo = hi - size) hi = lo;
    lo = Math.max(lo, 0);
  } else {
    for (lo = k, hi = k + size; !works(hi); size *= 2, hi = lo + size) { lo = hi; if (size > 1e18) return { K: null, floor: null }; }
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

function evaluate(s) {
  const m = prepare(s), found = at(m, s.K);
  return {
    ...found, logLamT: m.logLamT, M1: m.M1, omega: m.omega, trivial: Math.sqrt(m.second),
    K: {
      theorem1: iterations(m, "published", 0.5),
      theorem2: iterations(m, "sharp", 1),
      exact: m.gaussian ? iterations(m, "law", 1) : null, floor: m.gaussian ? floorK(m) : null,
    },
  };
}

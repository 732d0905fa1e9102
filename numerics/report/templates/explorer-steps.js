// The explorer's engine: the local terms of one step; the formulas above are printed from sympy.
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
    logM: Math.log(s.m0), logL: Math.log(s.L0), second: s.second_moment || s.d / s.m0, mean: s.mean_norm || 0, gaussian: s.m0 === s.L0, M1: 0, o: {}, h: {},
  };
  m.logAlphaT = m.ve ? 0 : -p.whole(s.T);
  m.logLamT = p.logLam(s.T);
  m.M1 = m.gaussian && !s.data ? timeRegularity(m) : s.M1;
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

// an integral over the step minus its rectangle at the departure: by the slope, or as it stands where that is more exact
function rest(slope, lo, w, whole, rectangle) {
  const by = (r) => {
    let s = 0;
    for (let i = 0; i < r.x.length; i++) s -= r.w[i] * r.x[i] * slope(lo + w * r.x[i]);
    return w * w * s;
  };
  const fine = by(RULES[10]), coarse = by(RULES[6]), lost = 1e-15 * (Math.abs(whole) + Math.abs(rectangle));
  return Math.abs(fine - coarse) < Math.max(lost, 1e-15 * Math.abs(fine)) ? fine : whole - rectangle;
}

// em-point, from em's coefficients: f and g^2 at the time from which the step departs
function pointwise(m, lo, w) {
  const { p, o } = m, F = m.ve ? 0 : p.f(lo + w) * w, G = p.g2(lo + w) * w;
  const f = m.ve ? 0 : rest(p.df, lo, w, o.F, F), g = m.ve ? rest(p.dg2, lo, w, o.G, G) : 2 * m.kappa * f;
  o.A = 1 + F; o.C = o.Q = G;
  o.a += f; o.c += g; o.q += g;
}

// everything that the statements share
function step(m, lo, w) {
  const { p, o, h } = m;
  h.lo = lo; h.w = w;
  h.low = lo > 0 ? p.logLam(lo) : -Infinity;
  h.high = p.logLam(lo + w);
  h.alphaLow = m.ve || lo === 0 ? 0 : -p.whole(lo);
  const s2 = lo > 0 ? Math.exp(h.low + 2 * h.alphaLow) : 0;
  m.coefficients(p.step(lo, w), m.kappa, s2, o);
  if (m.scheme === "em-point") pointwise(m, lo, w);
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
  if (m.scheme !== "ddpm") rho -= o.q;
  else {
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

// The explorer on the reader's own data and sampler: files read in the page, eigenvalues, exact laws by direction.

// ---- files ----------------------------------------------------------------------------------------

const MOST_DIRECTIONS = 1024, MOST_NUMBERS = 5e7;
const refuse = (text) => { throw new Error(text); };

// numbers of a list: commas, semicolons, spaces or lines between them
function listed(text) {
  const words = text.split(/[\s,;]+/).filter(Boolean), values = words.map(Number);
  const wrong = words.find((w, i) => !Number.isFinite(values[i]) || !/^[-+.\deE]+$/.test(w));
  if (wrong !== undefined) refuse(`“${wrong.slice(0, 40)}” is no number`);
  return values;
}

const half = (u) => {
  const e = (u >> 10) & 31, f = u & 1023, s = u & 32768 ? -1 : 1;
  return s * (e === 0 ? f * 2 ** -24 : e === 31 ? (f ? NaN : Infinity) : (1 + f / 1024) * 2 ** (e - 15));
};
const READERS = {
  f8: [8, (v, i, l) => v.getFloat64(i, l)], f4: [4, (v, i, l) => v.getFloat32(i, l)], f2: [2, (v, i, l) => half(v.getUint16(i, l))],
  i8: [8, (v, i, l) => Number(v.getBigInt64(i, l))], i4: [4, (v, i, l) => v.getInt32(i, l)], i2: [2, (v, i, l) => v.getInt16(i, l)],
  i1: [1, (v, i) => v.getInt8(i)], u8: [8, (v, i, l) => Number(v.getBigUint64(i, l))], u4: [4, (v, i, l) => v.getUint32(i, l)],
  u2: [2, (v, i, l) => v.getUint16(i, l)], u1: [1, (v, i) => v.getUint8(i)], b1: [1, (v, i) => v.getUint8(i)],
};

// an .npy file as { shape, values }, the last index running fastest; nothing in it is evaluated
function npy(buffer) {
  const view = new DataView(buffer), bytes = new Uint8Array(buffer);
  if (bytes.length < 12 || bytes[0] !== 0x93 || String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY") refuse("this is no .npy file");
  const wide = bytes[6] > 1, start = wide ? 12 : 10, size = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const head = new TextDecoder().decode(bytes.subarray(start, start + size));
  const descr = /'descr':\s*'([<>|=])([a-z]\d)'/.exec(head), order = /'fortran_order':\s*(True|False)/.exec(head);
  const dims = /'shape':\s*\(([\d,\s]*)\)/.exec(head);
  if (!descr || !order || !dims || !READERS[descr[2]]) refuse("the file holds no array of real numbers");
  const shape = dims[1].split(",").map((w) => w.trim()).filter(Boolean).map(Number), n = shape.reduce((a, b) => a * b, 1);
  const [width, get] = READERS[descr[2]], little = descr[1] !== ">";
  if (!shape.length || !n || n > MOST_NUMBERS) refuse(`an array of ${n} numbers: 1 to ${MOST_NUMBERS} can be read here`);
  if (bytes.length < start + size + n * width) refuse("the file ends before its numbers do");
  const values = new Float64Array(n), strides = new Array(shape.length).fill(1);
  if (order[1] === "True") for (let k = 1; k < shape.length; k++) strides[k] = strides[k - 1] * shape[k - 1];
  for (let i = 0; i < n; i++) {
    let at = i;
    if (order[1] === "True") { at = 0; for (let k = shape.length - 1, rest = i; k >= 0; k--) { at += (rest % shape[k]) * strides[k]; rest = Math.floor(rest / shape[k]); } }
    values[i] = get(view, start + size + at * width, little);
    if (!Number.isFinite(values[i])) refuse(`number ${i + 1} is not finite`);
  }
  return { shape, values };
}

// a vector is a spectrum, anything else samples, the first axis counting them
function ownData({ shape, values }, name) {
  if (shape.length === 1) return ownSpectrum([...values], name);
  const n = shape[0], d = values.length / n;
  if (d > MOST_DIRECTIONS) refuse(`${d} dimensions: the page takes ${MOST_DIRECTIONS}; wbound bound --data takes 8192`);
  if (n <= d) refuse(`${n} samples of ${d} dimensions: with so few wbound shrinks the covariance, which the page does not`);
  const mean = new Float64Array(d), cov = Array.from({ length: d }, () => new Float64Array(d)), x = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) mean[j] += values[i * d + j];
  for (let j = 0; j < d; j++) mean[j] /= n;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < d; j++) x[j] = values[i * d + j] - mean[j];
    for (let j = 0; j < d; j++) { const row = cov[j], xj = x[j] / n; for (let k = 0; k <= j; k++) row[k] += xj * x[k]; }
  }
  for (let j = 0; j < d; j++) for (let k = 0; k < j; k++) cov[k][j] = cov[j][k];
  const { values: spectrum, vectors } = eigen(cov), largest = Math.max(...spectrum);
  if (!(largest > 0)) refuse("the samples are all the same");
  const tiny = d * Number.EPSILON * largest;
  const along = spectrum.map((_, i) => { let s = 0; for (let j = 0; j < d; j++) s += mean[j] * vectors[j][i]; return s; });
  return ordered(spectrum.map((v) => (v <= tiny ? 0 : v)), along, name, n);
}

function ownSpectrum(values, name) {
  if (!values.length) refuse("no numbers");
  if (values.length > MOST_DIRECTIONS) refuse(`${values.length} numbers: the page takes ${MOST_DIRECTIONS}`);
  const wrong = values.find((v) => !(v >= 0));
  if (wrong !== undefined) refuse(`a variance is at least 0, not ${wrong}`);
  if (!(Math.max(...values) > 0)) refuse("all variances are 0");
  return ordered(values, values.map(() => 0), name, null);
}

function ordered(variances, mean, name, n) {
  const at = variances.map((_, i) => i).sort((i, j) => variances[i] - variances[j]);
  return { name, n, variances: at.map((i) => variances[i]), mean: at.map((i) => mean[i]) };
}

// eigenvalues and -vectors (columns) of a symmetric matrix: Householder, then implicit QL
function eigen(a) {
  const n = a.length, z = a.map((row) => Float64Array.from(row)), d = new Float64Array(n), e = new Float64Array(n);
  for (let i = n - 1; i > 0; i--) {
    const l = i - 1;
    let h = 0, scale = 0;
    if (l > 0) for (let k = 0; k <= l; k++) scale += Math.abs(z[i][k]);
    if (scale === 0) e[i] = z[i][l];
    else {
      for (let k = 0; k <= l; k++) { z[i][k] /= scale; h += z[i][k] * z[i][k]; }
      let f = z[i][l];
      const g = f >= 0 ? -Math.sqrt(h) : Math.sqrt(h);
      e[i] = scale * g; h -= f * g; z[i][l] = f - g; f = 0;
      for (let j = 0; j <= l; j++) {
        z[j][i] = z[i][j] / h;
        let s = 0;
        for (let k = 0; k <= j; k++) s += z[j][k] * z[i][k];
        for (let k = j + 1; k <= l; k++) s += z[k][j] * z[i][k];
        e[j] = s / h; f += e[j] * z[i][j];
      }
      const hh = f / (h + h);
      for (let j = 0; j <= l; j++) {
        const u = z[i][j], w = (e[j] -= hh * u);
        for (let k = 0; k <= j; k++) z[j][k] -= u * e[k] + w * z[i][k];
      }
    }
    d[i] = h;
  }
  for (let i = 0; i < n; i++) {
    if (i > 0 && d[i] !== 0) {
      for (let j = 0; j < i; j++) {
        let g = 0;
        for (let k = 0; k < i; k++) g += z[i][k] * z[k][j];
        for (let k = 0; k < i; k++) z[k][j] -= g * z[k][i];
      }
    }
    d[i] = z[i][i]; z[i][i] = 1;
    for (let j = 0; j < i; j++) z[j][i] = z[i][j] = 0;
  }
  for (let i = 1; i < n; i++) e[i - 1] = e[i];
  if (n) e[n - 1] = 0;
  for (let l = 0; l < n; l++) {
    for (let turn = 0; ; turn++) {
      let m = l;
      for (; m < n - 1; m++) if (Math.abs(e[m]) <= Number.EPSILON * (Math.abs(d[m]) + Math.abs(d[m + 1]))) break;
      if (m === l) break;
      if (turn > 60) refuse("the covariance's eigenvalues could not be found");
      let g = (d[l + 1] - d[l]) / (2 * e[l]), r = Math.hypot(g, 1), s = 1, c = 1, p = 0, i = m - 1;
      g = d[m] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
      for (; i >= l; i--) {
        let f = s * e[i];
        const b = c * e[i];
        r = Math.hypot(f, g); e[i + 1] = r;
        if (r === 0) { d[i + 1] -= p; e[m] = 0; break; }
        s = f / r; c = g / r; g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r; d[i + 1] = g + p; g = c * r - b;
        for (let k = 0; k < n; k++) { const row = z[k]; f = row[i + 1]; row[i + 1] = s * row[i] + c * f; row[i] = c * row[i] - s * f; }
      }
      if (r === 0 && i >= l) continue;
      d[l] -= p; e[l] = g; e[m] = 0;
    }
  }
  return { values: [...d], vectors: z };
}

// ---- exact laws -----------------------------------------------------------------------------------

// W2^2 by direction of the sampler of the dials: excess of the variance and mean error, step by step (section 3)
function ownLaw(m, K, data, start) {
  const { variances: x, mean } = data, n = x.length, excess = new Float64Array(n), moved = new Float64Array(n);
  const aT = Math.exp(2 * m.logAlphaT);
  if (start !== "exact") for (let i = 0; i < n; i++) { excess[i] = -aT * x[i]; moved[i] = -Math.sqrt(aT) * mean[i]; }
  const eta = m.T / K, o = m.o, h = m.h;
  for (let k = K - 1; k >= 0; k--) {
    step(m, k * eta, eta);
    const lamLow = h.low === -Infinity ? 0 : Math.exp(h.low), lamHigh = Math.exp(h.high), a2 = Math.exp(2 * h.alphaHigh);
    const gone = h.ratio < Infinity ? h.ratio / (1 + h.ratio) : 1, alpha = Math.exp(h.alphaHigh), grown = Math.exp(o.F);
    const ancestral = m.scheme === "ddpm", H = gone * lamHigh;
    for (let i = 0; i < n; i++) {
      const w = x[i] + lamHigh, inv = 1 / (a2 * w), hf = grown * (x[i] + lamLow) / w, slip = o.a - o.c * inv, r = hf - slip;
      let rho = ancestral ? -o.Qhf * gone * (x[i] / w) : o.Qhf * (H / w) - o.q;
      rho -= slip * (2 * hf - slip) * a2 * w;
      excess[i] = r * r * excess[i] + rho;
      moved[i] = r * moved[i] - o.a * alpha * mean[i];
    }
  }
  return x.map((v, i) => {
    const e = Math.max(excess[i], -v), width = e === 0 ? 0 : e / (Math.sqrt(v + e) + Math.sqrt(v));
    return width * width + moved[i] * moved[i];
  });
}

const INFINITE = (v) => v === "infinity" ? Infinity : v;

// a recorded tape, checked in its shapes (its digest is checked by wbound)
function readTape(text) {
  let t;
  try { t = JSON.parse(text); } catch { refuse("the tape is no JSON; .npz tapes are for wbound"); }
  if (!t || t.format !== "wbound tape" || t.version !== 1) refuse("this is no tape of wbound (version 1)");
  const K = Array.isArray(t.levels) ? t.levels.length : 0;
  const rows = (a, width) => Array.isArray(a) && a.length === K + 1 && a.every((row) => Array.isArray(row) && (width === null || row.length === width) && row.every(Number.isFinite));
  const line = (a) => Array.isArray(a) && a.length === K + 1 && a.every(Number.isFinite);
  const noises = t.noises && t.noises.length ? t.noises : Array.from({ length: K + 1 }, () => []);
  if (!K || K > 2000 || !line(t.start) || !line(t.offsets) || !rows(t.answers, K) || !rows(noises, noises[0].length)) refuse("the tape's arrays do not fit each other, or it has more than 2000 calls");
  const levels = t.levels.map(INFINITE), level = INFINITE(t.start_level);
  if (!levels.every((v) => v >= 0) || !(level >= 0) || ![t.start_std, t.start_mean, t.alpha_out].every(Number.isFinite)) refuse("the tape holds what is no number");
  const made = t.made || {};
  return { K, levels, level, start: t.start, answers: t.answers, noises, offsets: t.offsets, std: t.start_std, shift: t.start_mean, out: t.alpha_out,
    title: String(made.sampler || made.scheme || made.scheduler || "tape") };
}

// W2^2 by direction of a tape (section 15): by the adjoint, as tape_law; of what the sampler returns
function tapeLaw(t, data, start) {
  const { K, levels } = t, C = new Float64Array(K + 1), J = t.noises[0].length;
  return data.variances.map((x, at) => {
    if (x === 0 && levels.includes(0)) refuse("a tape with a call at level 0 needs variances above 0");
    let mean = 0;
    C[K] = 1;
    for (let j = K - 1; j >= 0; j--) {
      let u = 0;
      for (let i = j + 1; i <= K; i++) u += t.answers[i][j] * C[i];
      const lam = levels[j];
      mean += u * (lam === Infinity ? 1 : lam === 0 ? 1 / x : lam / (x + lam));
      C[j] = u * (lam === Infinity ? 0 : lam === 0 ? -1 / x : x / (x + lam) * Math.sqrt(1 + lam));
    }
    const dot = (row) => { let s = 0; for (let i = 0; i <= K; i++) s += row[i] * C[i]; return s; };
    const gain = dot(t.start), a = t.out, lam = t.level;
    let noise = 0, offset = dot(t.offsets), variance = 1;
    for (let j = 0; j < J; j++) { let s = 0; for (let i = 0; i <= K; i++) s += t.noises[i][j] * C[i]; noise += s * s; }
    if (start === "own") { variance = t.std * t.std; offset += gain * t.shift; }
    else if (start !== "standard" && lam !== Infinity) {
      variance = (start === "prior" ? lam : x + lam) / (1 + lam);
      if (start === "exact") mean += gain / Math.sqrt(1 + lam);
    }
    const width = Math.abs(a) * Math.sqrt(gain * gain * variance + noise) - Math.sqrt(x), mu = data.mean[at];
    const moved = (a * mean - 1) * mu + a * offset;
    return width * width + moved * moved;
  });
}

const total = (squares) => Math.sqrt(squares.reduce((s, v) => s + v, 0));

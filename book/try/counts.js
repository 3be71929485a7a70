/* Votes, bound and radius. What is shown is rounded down, below any error of these functions. */
(() => {
  const SLACK = 1e-7;

  const lnGamma = (x) => {
    let shift = 0;
    for (; x < 12; x += 1) shift -= Math.log(x);
    const z = 1 / (x * x);
    const series = (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z / 1188)))) / x;
    return shift + (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series;
  };

  // The continued fraction of the incomplete beta function.
  const fraction = (x, a, b) => {
    const tiny = 1e-300;
    let c = 1, d = 1 - ((a + b) * x) / (a + 1);
    d = 1 / (Math.abs(d) < tiny ? tiny : d);
    let value = d;
    for (let m = 1; m < 5000; m += 1) {
      for (const step of [
        (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
        (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
      ]) {
        d = 1 + step * d;
        c = 1 + step / c;
        d = 1 / (Math.abs(d) < tiny ? tiny : d);
        c = Math.abs(c) < tiny ? tiny : c;
        value *= d * c;
        if (Math.abs(d * c - 1) < 1e-15 && step < 0) return value;
      }
    }
    return value;
  };
  const beta = (x, a, b) => {
    const log = lnGamma(a + b) - lnGamma(a) - lnGamma(b) + a * Math.log(x) + b * Math.log1p(-x);
    if (x < (a + 1) / (a + b + 2)) return (Math.exp(log) * fraction(x, a, b)) / a;
    return 1 - (Math.exp(log) * fraction(1 - x, b, a)) / b;
  };
  const bisect = (rises, low, high) => {
    for (let i = 0; i < 200; i += 1) {
      const middle = (low + high) / 2;
      if (rises(middle)) high = middle;
      else low = middle;
    }
    return low;
  };
  // The p at which k or more of n votes have probability alpha.
  const bound = (k, n, alpha) =>
    k === 0 ? 0 : k === n ? alpha ** (1 / n) : bisect((p) => beta(p, k, n - k + 1) > alpha, 0, 1);

  const tail = (x) => {  // P(N > x) for x >= 0
    if (x > 3) {
      let value = 0;
      for (let j = 60; j > 0; j -= 1) value = j / (x + value);
      return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI) / (x + value);
    }
    let term = x, sum = x;
    for (let j = 1; j < 200; j += 1) sum += term *= (x * x) / (2 * j + 1);
    return 0.5 - (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
  };
  const quantile = (p) => bisect((x) => tail(x) < 1 - p, 0, 40);

  const seen = (rho, d, k) => {  // the chance that a view of k among d pixels shows one of rho
    let hidden = 1;
    for (let j = 0; j < rho; j += 1) hidden *= Math.max(0, d - k - j) / (d - j);
    return 1 - hidden;
  };
  const left = (p, r, keep) => {  // the least that is left of p when r bits change
    let base = 0, shifted = 0, ways = 1;
    for (let i = r; i >= 0; i -= 1) {
      const mass = ways * keep ** i * (1 - keep) ** (r - i);
      const other = ways * keep ** (r - i) * (1 - keep) ** i;
      const part = Math.min(1, Math.max(0, (p - base) / mass));
      base += mass;
      shifted += part * other;
      ways = (ways * i) / (r - i + 1);
    }
    return shifted;
  };
  const largest = (good) => {
    let r = 0;
    while (r < 500 && good(r + 1)) r += 1;
    return r;
  };
  const LAWS = {
    gaussian: ["σ", 0.5, (p, s) => s * quantile(p), "ℓ2"],
    laplace: ["scale", 0.5, (p, s) => -s * Math.log(2 * (1 - p)), "ℓ1"],
    uniform: ["half width", 0.5, (p, s) => 2 * s * (p - 0.5), "ℓ1"],
    ablation: ["pixels of 784 that are shown", 45,
      (p, k) => largest((rho) => p > 0.5 + seen(rho, 784, k)), "pixels repainted"],
    flips: ["probability that a bit is kept", 0.8,
      (p, keep) => largest((r) => left(p, r, keep) > 0.5), "bits changed"],
  };

  const form = document.getElementById("try-counts");
  const field = (name) => form.elements[name];
  const down = (value) => (Math.floor((value - SLACK) * 1e4) / 1e4).toFixed(4);
  const show = () => {
    const [name, , radius, unit] = LAWS[field("law").value];
    form.querySelector("[data-scale]").textContent = name;
    const [k, n, alpha, scale] = ["votes", "samples", "alpha", "scale"].map((x) => +field(x).value);
    const whole = Number.isInteger(k) && Number.isInteger(n) && k >= 0 && k <= n && n > 0;
    const kept = field("law").value;
    const fits = kept === "ablation" ? Number.isInteger(scale) && scale > 0 && scale <= 784
      : kept === "flips" ? scale > 0.5 && scale < 1 : scale > 0;
    const output = form.querySelector("output");
    if (!whole || n > 1e6 || !(alpha > 1e-12 && alpha < 0.5) || !fits) {
      output.textContent = "Give 0 ≤ votes ≤ samples ≤ 1,000,000, a level below one half, and a scale.";
      return;
    }
    const p = bound(k, n, alpha) - SLACK;
    const told = p <= 0.5 ? "nothing is certified"
      : Number.isInteger(radius(p, scale)) && unit.includes(" ")
        ? `certified: ${radius(p, scale)} ${unit}`
        : `certified ${unit} radius ${down(radius(p, scale))}`;
    output.textContent = `p ≥ ${down(p)} at level α = ${alpha}: ${told}`;
  };
  field("law").addEventListener("change", () => {
    field("scale").value = LAWS[field("law").value][1];
  });
  form.addEventListener("input", show);
  form.hidden = false;
  show();
})();

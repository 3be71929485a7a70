/* A region of the plane under Gaussian noise: the points at which it keeps the majority. */
(() => {
  const SIDE = 64;
  const form = document.getElementById("try-regions");
  const canvas = form.querySelector("canvas"), pen = canvas.getContext("2d");
  const disc = (u, v, r) => (x, y) => (x - u) ** 2 + (y - v) ** 2 <= r * r;
  const SHAPES = {
    ball: disc(32, 32, 18),
    "two balls": (x, y) => disc(20, 32, 11)(x, y) || disc(45, 32, 11)(x, y),
    bar: (x, y) => Math.abs(y - 32) < 6 && Math.abs(x - 32) < 26,
    cone: (x, y) => x - 8 > Math.abs(y - 32) / 0.6,
  };
  const mask = (shape) =>
    Float64Array.from({ length: SIDE * SIDE }, (_, i) =>
      +SHAPES[shape]((i % SIDE) + 0.5, Math.floor(i / SIDE) + 0.5));
  // As SciPy does it: weights at whole pixels, cut at four sigma, nothing beyond the border.
  const blurred = (values, sigma) => {
    const reach = Math.floor(4 * sigma + 0.5), weights = [];
    for (let j = -reach; j <= reach; j += 1) weights.push(Math.exp((-j * j) / (2 * sigma * sigma)));
    const total = weights.reduce((a, b) => a + b);
    const along = (from, step, other) => {
      const to = new Float64Array(SIDE * SIDE);
      for (let a = 0; a < SIDE; a += 1)
        for (let b = 0; b < SIDE; b += 1)
          for (let j = Math.max(-reach, -b); j <= Math.min(reach, SIDE - 1 - b); j += 1)
            to[a * other + b * step] += (weights[j + reach] / total) * from[a * other + (b + j) * step];
      return to;
    };
    return along(along(values, 1, SIDE), SIDE, 1);
  };
  const show = () => {
    const shape = form.elements.shape.value, sigma = +form.elements.sigma.value;
    const before = mask(shape), after = sigma ? blurred(before, sigma) : before;
    const size = canvas.width / SIDE, style = getComputedStyle(form);
    let left = 0, all = 0;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    before.forEach((inside, i) => {
      const kept = after[i] >= 0.5;
      all += inside;
      left += kept;
      if (!inside && !kept) return;
      pen.fillStyle = style.getPropertyValue(kept ? "--rs-blue" : "--pst-color-border");
      pen.fillRect((i % SIDE) * size, Math.floor(i / SIDE) * size, size, size);
    });
    form.querySelector("output").textContent =
      `σ = ${sigma} pixels: the region had ${all} pixels and has ${left}.`;
  };
  form.addEventListener("input", show);
  form.hidden = false;
  show();
})();

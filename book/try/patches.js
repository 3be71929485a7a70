/* Votes of bands around an image, and the widest patch that cannot turn their answer. */
(() => {
  const WIDTH = 28, CLASSES = 3, NAMES = ["A", "B", "C"];
  const form = document.getElementById("try-patches");
  const row = form.querySelector(".rs-votes");
  const votes = [..."AABAABAACAABAABAAC-AABAABAAA"].map((name) => NAMES.indexOf(name));

  const counts = () => NAMES.map((_, c) => votes.filter((vote) => vote === c).length);
  const answer = () => {
    const found = counts();
    return found.indexOf(Math.max(...found));
  };
  // Whether no patch of m columns turns the answer: the condition at every place and for every rival.
  const safe = (m, band) => {
    const found = counts(), c = answer();
    for (let p = 0; p + m <= WIDTH; p += 1) {
      const met = new Set();
      for (let q = p - band + 1; q < p + m; q += 1) met.add((q + WIDTH) % WIDTH);
      const lost = (k) => [...met].filter((q) => votes[q] === k).length;
      for (let k = 0; k < CLASSES; k += 1)
        if (k !== c && found[c] - lost(c) < found[k] - lost(k) + met.size + (k < c)) return false;
    }
    return true;
  };
  const largest = (good) => {
    let m = 0;
    while (m < WIDTH && good(m + 1)) m += 1;
    return m;
  };
  const show = () => {
    const band = +form.elements.band.value, found = counts(), c = answer();
    const margin = Math.min(...NAMES.map((_, k) =>
      k === c ? Infinity : found[c] - found[k] - (k < c)));
    const byCounts = largest((m) => margin >= 2 * Math.min(WIDTH, m + band - 1));
    const byPlaces = largest((m) => safe(m, band));
    form.querySelector("output").textContent =
      `Answer ${NAMES[c]} (${found.map((n, k) => `${NAMES[k]} ${n}`).join(", ")}). No patch of ` +
      `${byPlaces} columns turns it, by where the votes are; of ${byCounts}, by their numbers alone.`;
  };
  votes.forEach((_, q) => {
    const button = document.createElement("button");
    button.type = "button";
    const paint = () => {
      button.textContent = NAMES[votes[q]] ?? "·";
      button.dataset.vote = NAMES[votes[q]] ?? "";
      button.setAttribute("aria-label", `band ${q + 1} votes ${NAMES[votes[q]] ?? "for none"}`);
    };
    button.addEventListener("click", () => {
      votes[q] = votes[q] === CLASSES - 1 ? -1 : votes[q] + 1;
      paint();
      show();
    });
    paint();
    row.append(button);
  });
  form.addEventListener("input", show);
  form.hidden = false;
  show();
})();

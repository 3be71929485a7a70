/* Four small helpers; every page reads the same without them. */
document.addEventListener("DOMContentLoaded", () => {
  // Buttons that copy a citation or the address of the page.
  for (const button of document.querySelectorAll("button.rs-copy")) {
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = JSON.parse(button.dataset.text) || location.href.split("#")[0];
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        const area = Object.assign(document.createElement("textarea"), { value: text });
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = label), 1500);
    });
  }

  // The gallery: rows stay whose words hold all that is asked.
  const find = document.querySelector(".rs-find");
  if (find) {
    find.hidden = false;
    const words = JSON.parse(find.dataset.words);
    const rows = [...document.querySelectorAll("table.rs-figures tbody tr")];
    const texts = Object.values(words).map((text) => text.toLowerCase());
    const ids = Object.keys(words);
    find.querySelector("input").addEventListener("input", (event) => {
      const asked = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row) => {
        const id = [...row.querySelectorAll("code")].map((code) => code.textContent);
        const place = ids.findIndex((name) => id.includes(name));
        row.hidden = !asked.every((word) => texts[place].includes(word));
        shown += !row.hidden;
      });
      find.querySelector("output").textContent = asked.length ? `${shown} of ${rows.length}` : "";
    });
  }

  // Tables that sort by a column.
  for (const table of document.querySelectorAll("table.rs-sortable")) {
    table.querySelectorAll("thead th").forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => row.cells[column].textContent.trim();
        const order = new Intl.Collator("en", { numeric: true });
        const body = table.tBodies[0];
        [...body.rows]
          .sort((a, b) => (down ? -1 : 1) * order.compare(key(a), key(b)))
          .forEach((row) => body.append(row));
      });
    });
  }

  // Paper shows the proofs, pictures and solutions that are folded; folded code stays away.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("article details:not(.hide):not([open])")];
    opened.forEach((fold) => (fold.open = true));
    document.querySelectorAll("article img[loading='lazy']").forEach((img) => (img.loading = "eager"));
  });
  window.addEventListener("afterprint", () => opened.forEach((fold) => (fold.open = false)));
});

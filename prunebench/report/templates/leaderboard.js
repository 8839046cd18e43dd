"use strict";
// Sorts and filters the table. Every text goes in by textContent, so no name can be markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const table = document.getElementById("board");
  const form = document.getElementById("filters");
  const state = document.getElementById("state");
  const heads = [...table.tHead.rows[0].cells];
  const titles = heads.map((head) => head.textContent);
  let sorted = { column: titles.indexOf("Rank"), down: false };

  const bySubset = new Map(data.map((part) => [JSON.stringify(part.subset), part.rows]));

  // missing values last, whichever way is up
  function compare(a, b) {
    const x = a.sort[sorted.column];
    const y = b.sort[sorted.column];
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "number" ? x - y : String(x).localeCompare(String(y), "en");
    return sorted.down ? -order : order;
  }

  function line(row) {
    const made = document.createElement("tr");
    row.texts.forEach((text, i) => {
      const isMethod = titles[i] === "Method";
      const cell = document.createElement(isMethod ? "th" : "td");
      if (isMethod) cell.scope = "row";
      cell.className = heads[i].className;
      cell.textContent = text;
      made.append(cell);
    });
    return made;
  }

  function show() {
    const chosen = ["task", "regime", "model"].map((name) => form.elements[name].value);
    const family = form.elements.family.value;
    const rows = bySubset.get(JSON.stringify(chosen)) || [];
    const kept = rows.filter((row) => family === "all" || row.family === family);
    table.tBodies[0].replaceChildren(...[...kept].sort(compare).map(line));
    heads.forEach((head, i) => {
      if (i === sorted.column) {
        head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      } else {
        head.removeAttribute("aria-sort");
      }
    });
    const where = chosen.filter((name) => name !== "all").join(" · ") || "everything";
    state.textContent = rows.length
      ? `${kept.length} of ${rows.length} methods, scored on ${where}`
      : `no cells for ${where}`;
  }

  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = titles[i];
    button.addEventListener("click", () => {
      sorted = { column: i, down: sorted.column === i && !sorted.down };
      show();
    });
    head.replaceChildren(button);
  });
  form.addEventListener("change", show);
  form.addEventListener("reset", () => {
    sorted = { column: titles.indexOf("Rank"), down: false };
    setTimeout(show); // the fields are reset after this event
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
})();

"use strict";
// The table (DataTables), its filters, and what a row unfolds to. Every text of the data goes in
// as a text node or escaped, so no name can be markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const table = document.getElementById("board");
  const form = document.getElementById("filters");
  const state = document.getElementById("state");
  const heads = [...table.tHead.rows[0].cells];
  const titles = heads.map((head) => head.textContent);
  const axes = ["task", "regime", "model", "sparsity"];
  const open = new Set(); // methods unfolded
  const { settings, sparsities, columns } = data.points;
  const at = Object.fromEntries(columns.map((column, i) => [column.key, 4 + i]));

  const element = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const number = (value, digits, sign) => {
    if (value === null) return "–";
    const text = value.toFixed(digits).replace(/^-(?=[0.]*$)/, "");
    return (sign && Number(text) > 0 ? "+" : "") + text.replace("-", "−");
  };
  const unpruned = sparsities[0] === 0 ? 1 : 0;
  const target = (place) => (sparsities[place] ? data.axes.sparsity[place - unpruned] : "0 %");

  // ---- the table -----------------------------------------------------------------------------
  // a row is [method, family, texts, values], texts by their place in data.texts
  const method = (row) => data.texts[row[0]];
  const text = (row, i) => data.texts[row[2][i]];
  const value = (row, i) => (data.kinds[i] === "name" ? text(row, i) : row[3][i]);
  const ordered = (direction) => (a, b) => {
    // missing values last, whichever way is up
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0;
    return direction * order;
  };
  DataTable.type("value", { order: { asc: ordered(1), desc: ordered(-1) } });

  const chosen = () =>
    axes.map((axis) => (data.axes[axis].length > 1 ? form.elements[axis].value : "all"));

  function rows() {
    const family = form.elements.family.value;
    const length = form.elements.recovery ? form.elements.recovery.value : "all";
    const found = data.tables[JSON.stringify(chosen())] || [];
    return found.filter((row) =>
      (family === "all" || data.texts[row[1]] === family) &&
      (length === "all" || data.lengths[method(row)] === length || method(row) === "dense"));
  }

  table.tBodies[0].replaceChildren();
  const board = new DataTable(table, {
    data: rows(),
    autoWidth: false,
    info: false,
    paging: false,
    language: { emptyTable: "nothing to show", zeroRecords: "nothing to show" },
    layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
    order: [[titles.indexOf("Rank"), "asc"]],
    createdRow: (row, about) => row.classList.toggle("mine", data.highlight.includes(method(about))),
    columns: titles.map((title, i) => ({
      data: null,
      type: "value",
      orderSequence: ["asc", "desc"],
      className: heads[i].className,
      cellType: title === "Method" ? "th" : "td",
      render: (_, kind, row) =>
        kind === "sort" ? value(row, i) : DataTable.util.escapeHtml(text(row, i)),
      createdCell: (cell, _, row) => {
        if (title !== "Method") return;
        cell.scope = "row";
        const button = { type: "button", class: "unfold", "aria-expanded": "false" };
        cell.replaceChildren(element("button", button, text(row, i)));
      },
    })),
  });

  // DataTables knows the return key alone; a button answers to the space bar too
  table.tHead.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.matches("[role=button]")) return;
    event.preventDefault();
    event.target.click();
  });

  function show() {
    const choice = chosen();
    const all = data.tables[JSON.stringify(choice)];
    board.clear().rows.add(rows());
    board.column(titles.indexOf("Method")).search(form.elements.search.value).draw();
    board.rows().every(function () {
      if (open.has(method(this.data()))) unfold(this, true);
    });
    const where = choice.filter((name) => name !== "all").join(" · ") || "everything";
    const count = board.rows({ search: "applied" }).count();
    state.textContent = all
      ? `${count} of ${all.length} methods, scored on ${where}`
      : `no scores for ${where}: see “How to read it” for what this page holds`;
  }

  // ---- unfolding -----------------------------------------------------------------------------
  function unfold(row, wanted) {
    const name = method(row.data());
    if (wanted) {
      open.add(name);
      row.child(detail(name), "detail").show();
    } else {
      open.delete(name);
      row.child.remove();
    }
    row.node().querySelector(".unfold").setAttribute("aria-expanded", String(wanted));
  }

  table.tBodies[0].addEventListener("click", (event) => {
    const button = event.target.closest(".unfold");
    if (!button) return;
    unfold(board.row(button.closest("tr")), button.getAttribute("aria-expanded") !== "true");
  });

  const inside = (setting) =>
    chosen().slice(0, 3).every((name, i) => name === "all" || name === settings[setting][i]);
  const label = (setting) => settings[setting].join(" · ");

  function detail(name) {
    const points = (data.points.methods[name] || []).filter((point) => inside(point[0]));
    const groups = d3.group(points, (point) => point[0]);
    const lost = (data.points.failures[name] || []).filter((failure) => inside(failure[0]));
    const made = element("div", { class: "unfolded" });
    made.append(element("h3", {}, `${name}: test error against compression`), ...curves(name, groups));
    made.append(element("h3", {}, "Cells"), cells(points));
    if (lost.length) made.append(element("h3", {}, "What failed"), failures(lost));
    made.append(element("h3", {}, "Recipe"), ...recipe(name));
    return made;
  }

  const CURVES = 12; // figures drawn at once
  function curves(name, groups) {
    const shown = [...groups].slice(0, CURVES);
    const figures = shown.map(([setting, points]) =>
      element("figure", {}, element("figcaption", {}, label(setting)), curve(name, setting, points)));
    const key = element("p", { class: "key" },
      element("span", { class: "line method" }, `${name}, mean with its 95 % band`), " ",
      element("span", { class: "line random" }, "random, where it is in the picture"), " ",
      element("span", { class: "line dense" }, "dense"), " ",
      element("span", {}, "× some of its cells failed"));
    const more = groups.size - shown.length;
    const rest = more > 0 ? [`${more} more settings: choose a task, regime or model above.`] : [];
    return [key, element("div", { class: "curves" }, ...figures), element("p", {}, ...rest)];
  }

  // published results are compared with the dense and random ones of their own source
  const beside = (name, other) =>
    data.published[name] ? `${other} (${data.published[name]})` : other;
  function curve(name, setting, points) {
    const of = (other) =>
      (data.points.methods[other] || []).filter((point) => point[0] === setting).map(coordinates);
    const own = points.map(coordinates);
    const dense = of(beside(name, "dense"));
    const reached = Object.values(data.points.methods).flat().filter((point) => sparsities[point[1]] > 0);
    const range = d3.extent(reached, achieved);
    const level = own.every((point) => point.x === 1); // not pruned: a level, no curve
    const plotted = level && range[0] ? own.flatMap((p) => range.map((x) => ({ ...p, x }))) : own;
    // the method itself decides what is seen: random pruning may leave the picture
    const ends = [...own, ...dense].flatMap((p) => [p.y - (p.half || 0), p.y + (p.half || 0)]);
    const octaves = d3.ticks(...(range[0] ? range.map(Math.log2) : [0, 1]), 6);
    const ticks = octaves.filter(Number.isInteger).map((octave) => 2 ** octave);
    const picture = Plot.plot({
      width: 320, height: 220, marginLeft: 42, marginBottom: 36, marginTop: 22,
      ariaLabel: `Test error of ${name} against compression, ${label(setting)}`,
      style: { background: "none", fontSize: "11px" },
      x: { type: "log", base: 2, label: "compression achieved", ticks, tickFormat: (x) => `${x}×` },
      y: { label: "test error (%)", grid: true, nice: true, ticks: 5, domain: d3.extent(ends) },
      marks: [
        Plot.areaY(plotted.filter((point) => point.half !== null), {
          x: "x", y1: (point) => point.y - point.half, y2: (point) => point.y + point.half,
          fill: "var(--accent)", fillOpacity: 0.2,
        }),
        Plot.ruleY(dense, { y: "y", stroke: "currentColor", strokeDasharray: "5 3" }),
        ...(name === beside(name, "random") ? [] : [
          Plot.lineY(of(beside(name, "random")), { x: "x", y: "y", stroke: "var(--soft)", strokeDasharray: "1 3", strokeWidth: 2, clip: true }),
        ]),
        Plot.lineY(plotted, { x: "x", y: "y", stroke: "var(--accent)", strokeWidth: 2 }),
        Plot.dot(plotted, {
          x: "x", y: "y", r: (point) => (point.lost ? 4 : 2.5), symbol: (point) => (point.lost ? "times" : "circle"),
          stroke: "var(--accent)", fill: (point) => (point.lost ? "none" : "var(--accent)"),
          title: (point) => `${point.target}: ${number(point.y, 2)} % (${point.status})`, tip: true,
        }),
      ],
      symbol: { type: "identity" }, r: { type: "identity" }, color: { type: "identity" },
    });
    picture.setAttribute("role", "img");
    return picture;
  }

  // all weights over kept ones, where it was recorded: what is not pruned keeps it below the target
  function achieved(point) {
    const ratio = at.compression_ratio_mean === undefined ? null : point[at.compression_ratio_mean];
    return ratio ?? 1 / (1 - sparsities[point[1]]);
  }

  function coordinates(point) {
    const status = data.texts[point[2]];
    const half = at.test_error_half === undefined ? null : point[at.test_error_half];
    return {
      x: achieved(point), y: point[at.test_error_mean], half, status,
      target: target(point[1]), lost: !/^\d+ ok$/.test(status),
    };
  }

  function plain(said, titles, lines) {
    const kinds = lines[0].map(([kind]) => kind);
    const head = titles.map((title, i) => element("th", { scope: "col", class: kinds[i] }, title));
    const body = lines.map((line) =>
      element("tr", {}, ...line.map(([kind, words]) => element("td", { class: kind }, words))));
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": said },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
  }

  function cells(points) {
    if (!points.length) return element("p", {}, "None in what is chosen above.");
    const shown = columns.filter((column) => points.some((point) => point[at[column.key]] !== null));
    const titles = ["Setting", "Sparsity", "Status", ...shown.map((column) => column.title)];
    const lines = points.map((point) => [
      ["name", label(point[0])], ["number", target(point[1])], ["words", data.texts[point[2]]],
      ...shown.map((column) => ["number", number(point[at[column.key]], column.digits, column.sign)]),
      ...(data.points.each ? [["each", data.texts[point[3]]]] : []),
    ]);
    return plain("Cells", [...titles, ...(data.points.each ? ["Each seed's test error (%)"] : [])], lines);
  }

  function failures(lost) {
    const lines = lost.map(([setting, place, seed, status, message]) => [
      ["name", label(setting)], ["number", target(place)], ["number", String(seed)],
      ["words", status], ["words", message],
    ]);
    return plain("What failed", ["Setting", "Sparsity", "Seed", "Status", "Message"], lines);
  }

  function recipe(name) {
    const known = data.recipes[name];
    if (!known) {
      const why = data.published[name]
        ? `published by ${data.published[name]}, not re-run`
        : data.no_recipes || "it was not run by this experiment's configuration";
      return [element("p", {}, `No recipe: ${why}.`)];
    }
    const command =
      `cat > ${known.file} <<'${data.end}'\n${known.own}${data.common}${data.end}\n` +
      `python -m prunebench workflow ${known.file} --cores all\n`;
    const code = element("pre", { tabindex: "0" }, command);
    const said = element("span", { role: "status" });
    const copy = element("button", { type: "button", class: "copy" }, "Copy");
    copy.addEventListener("click", async () => {
      getSelection().selectAllChildren(code);
      try {
        await navigator.clipboard.writeText(command);
        said.textContent = " copied";
      } catch {
        said.textContent = " selected: copy it with the keyboard";
      }
    });
    const about = `${known.about} In a checkout of prunebench this writes the whole configuration` +
      " and runs it: this method, random, and the dense networks, with the same seeds.";
    return [element("p", {}, about), element("p", {}, copy, said), code];
  }

  // ---- the filters ---------------------------------------------------------------------------
  // the address holds what is chosen, so that a link shows the same rows
  const fields = [...form.elements].filter((field) => field.name);
  const unset = Object.fromEntries(fields.map((field) => [field.name, field.value]));
  function remember() {
    const set = fields.filter((field) => field.value !== unset[field.name]);
    const said = new URLSearchParams(set.map((field) => [field.name, field.value])).toString();
    history.replaceState(null, "", said ? `#${said}` : location.pathname + location.search);
  }
  function recall() {
    const said = new URLSearchParams(location.hash.slice(1));
    for (const field of fields) {
      const wanted = said.get(field.name) ?? unset[field.name];
      const known = !field.options || [...field.options].some((option) => option.value === wanted);
      field.value = known ? wanted : unset[field.name]; // an old link may name what is gone
    }
    show();
  }
  const changed = () => {
    remember();
    show();
  };
  form.addEventListener("change", changed);
  form.elements.search.addEventListener("input", changed);
  window.addEventListener("hashchange", recall);
  form.addEventListener("reset", () => {
    open.clear();
    board.order([titles.indexOf("Rank"), "asc"]);
    setTimeout(changed); // the fields are reset after this event
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  recall();
})();

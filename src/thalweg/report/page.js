"use strict";
(function () {
  const { figures, colours } = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 34rem)");
  const touch = window.matchMedia("(pointer: coarse)");

  const hidden = new Set();
  // Drawn so far: a page of many tasks has more figures than one waits for.
  const drawn = new Set();

  // Figures carry the colours for a light page; each has its fixed counterpart for a dark one.
  function themed(value) {
    if (Array.isArray(value)) return value.map(themed);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, themed(inner)]));
    }
    return dark.matches && typeof value === "string" && Object.hasOwn(colours, value) ? colours[value] : value;
  }

  function template() {
    const css = getComputedStyle(document.documentElement);
    const named = (name) => css.getPropertyValue(name).trim();
    const axis = { gridcolor: named("--grid"), linecolor: named("--line"), tickcolor: named("--line"), zerolinecolor: named("--line"), title: { font: { size: narrow.matches ? 12 : 13 } } };
    return {
      layout: {
        paper_bgcolor: named("--page"), plot_bgcolor: named("--page"),
        font: { family: getComputedStyle(document.body).fontFamily, size: narrow.matches ? 12 : 13, color: named("--ink") },
        hoverlabel: { bgcolor: named("--raised"), bordercolor: named("--line"), font: { color: named("--ink") }, align: "left" },
        xaxis: axis, yaxis: axis,
      },
    };
  }

  function draw(ids) {
    for (const id of ids) {
      const figure = figures[id];
      drawn.add(id);
      const layout = { ...themed(figure.layout), template: template(), autosize: true, dragmode: touch.matches ? false : "zoom" };
      if (narrow.matches) {
        layout.margin = { ...layout.margin, l: 40, r: 6 };
      }
      const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "resetScale2d"]], scrollZoom: false };
      const data = themed(figure.data).map((trace) => ({ ...trace, visible: !hidden.has(trace.legendgroup) }));
      Plotly.react(id, data, layout, config);
    }
  }

  for (const button of document.querySelectorAll("button[data-rule]")) {
    button.addEventListener("click", () => {
      const rule = button.dataset.rule;
      if (!hidden.delete(rule)) hidden.add(rule);
      for (const same of document.querySelectorAll("button[data-rule]")) {
        if (same.dataset.rule === rule) same.setAttribute("aria-pressed", String(!hidden.has(rule)));
      }
      draw(drawn);
    });
  }
  // A heading sorts the trials by its column, each with its re-runs; what has no value stays last either way.
  for (const button of document.querySelectorAll(".trials thead button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th"), table = button.closest("table");
      const column = head.cellIndex, turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      const number = head.classList.contains("number");
      const of = (body) => {
        const cell = body.rows[0].cells[column];
        return number ? (cell.dataset.value === undefined ? NaN : Number(cell.dataset.value)) : cell.textContent;
      };
      const order = (a, b) => {
        if (!number) return turn * a.localeCompare(b);
        return Number.isNaN(a) || Number.isNaN(b) ? Number.isNaN(a) - Number.isNaN(b) : turn * (a - b);
      };
      table.append(...Array.from(table.tBodies).sort((a, b) => order(of(a), of(b))));
      for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
    });
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        watcher.unobserve(target);
        draw([target.id]);
      }
    }
  }, { rootMargin: "800px" });
  for (const [id, figure] of Object.entries(figures)) {
    const place = document.getElementById(id);
    place.style.minHeight = `${figure.layout.height}px`;
    watcher.observe(place);
  }
  for (const query of [dark, narrow, touch]) query.addEventListener("change", () => draw(drawn));
  window.addEventListener("beforeprint", () => draw(Object.keys(figures)));
})();

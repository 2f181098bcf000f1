"use strict";
// The figures of a chart as a table, and as CSV.

/** Head and rows of what the chart shows now: one column for each series of each panel. */
function tableOf(chart) {
  const series = shownSeries(chart);
  const several = unique(series.map((s) => s.panel)).length > 1;
  const columns = series.map((s) => (several ? `${s.panel}: ${s.name}` : s.name));
  const rows = chart.xs.map((x) => [
    x,
    ...series.map((s) => {
      const i = s.x.indexOf(x);
      return i < 0 ? null : s.y[i];
    }),
  ]);
  return { head: [chart.spec.x, ...columns], rows };
}

/** A table that follows the chart while it is open. */
function tableView(chart) {
  const label = `${chart.spec.title}, figures`;
  const box = element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label });
  box.id = `${chart.figure.id}-table`;
  box.hidden = true;
  const fill = () => {
    if (box.hidden) return;
    const { head, rows } = tableOf(chart);
    const cells = head.map((name) => element("th", { scope: "col" }, name));
    const lines = rows.map(([x, ...figures]) => {
      const first = element("th", { scope: "row" }, typeof x === "string" ? x : number(x));
      return element("tr", {}, first, ...figures.map((y) => element("td", {}, number(y))));
    });
    const parts = [
      element("thead", {}, element("tr", {}, ...cells)),
      element("tbody", {}, ...lines),
    ];
    box.replaceChildren(element("table", { class: "numbers" }, ...parts));
  };
  chart.afterDraw.push(fill);
  return { box, fill };
}

/** Every figure with all its digits. */
function csv(chart) {
  const { head, rows } = tableOf(chart);
  const cell = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return [head, ...rows]
    .map((row) => row.map((v) => cell(String(v ?? ""))).join(",") + "\n")
    .join("");
}

"use strict";
// The cursor of a chart: pointer and keys move along x, every panel shows its figures there.

/** Make the plot of a panel a slider over x. */
function addCursor(chart, panel) {
  const { plot, svg } = panel;
  panel.scale = svg.scale("x");
  const [bottom, top] = svg.scale("y").range;
  panel.line = svgElement("line", { class: "cursor", y1: top, y2: bottom });
  panel.tip = element("div", { class: "tip" });
  svg.append(panel.line);
  plot.append(panel.tip);
  const label = [chart.spec.title, panel.name, `by ${chart.spec.x}`].filter(Boolean).join(", ");
  const attributes = { role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": 0 };
  attributes["aria-valuemax"] = chart.xs.length - 1;
  for (const [name, value] of Object.entries(attributes)) plot.setAttribute(name, value);
  plot.addEventListener("pointermove", (event) => moveCursor(chart, nearest(chart, panel, event)));
  plot.addEventListener("pointerdown", (event) => moveCursor(chart, nearest(chart, panel, event)));
  plot.addEventListener("pointerleave", () => {
    const usesKeys = chart.panels.some((p) => p.plot.matches(":focus-visible"));
    if (!usesKeys) moveCursor(chart, null);
  });
  plot.addEventListener("focus", () => {
    if (plot.matches(":focus-visible")) moveCursor(chart, chart.at ?? 0);
  });
  plot.addEventListener("blur", () => moveCursor(chart, null));
  plot.addEventListener("keydown", (event) => {
    const last = chart.xs.length - 1;
    const far = Math.max(1, Math.round(last / 10));
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
    Object.assign(steps, { PageDown: -far, PageUp: far, Home: -last, End: last });
    if (!(event.key in steps)) return;
    event.preventDefault();
    moveCursor(chart, Math.max(0, Math.min(last, (chart.at ?? 0) + steps[event.key])));
  });
}

/** The place in chart.xs under the pointer. */
function nearest(chart, panel, event) {
  const box = panel.svg.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * panel.svg.getAttribute("width");
  return d3.leastIndex(chart.xs, (a, b) => {
    return Math.abs(panel.scale.apply(a) - x) - Math.abs(panel.scale.apply(b) - x);
  });
}

/** Show the figures at a place of chart.xs in every panel; null: nowhere. */
function moveCursor(chart, at) {
  chart.at = at;
  for (const panel of chart.panels) {
    panel.line.style.display = panel.tip.style.display = at === null ? "none" : "";
    const x = chart.xs[at ?? 0];
    const figures = figuresAt(chart, panel, x);
    const name = typeof x === "string" ? x : `${chart.spec.x} ${number(x)}`;
    panel.plot.setAttribute("aria-valuenow", at ?? 0);
    const spoken = figures.map(([s, y]) => `${s.name} ${number(y)}${bandAt(s, x)}`).join("; ");
    panel.plot.setAttribute("aria-valuetext", `${name}: ${spoken || "no figures"}`);
    if (at === null) continue;
    const place = panel.scale.apply(x);
    panel.line.setAttribute("x1", place);
    panel.line.setAttribute("x2", place);
    const rows = figures.flatMap(([s, y]) => [
      element("dt", { style: `--colour: var(${inkOf(s)})` }, s.name),
      element("dd", {}, `${number(y)}${bandAt(s, x)}`),
    ]);
    panel.tip.replaceChildren(element("b", {}, name), element("dl", {}, ...rows));
    const share = place / panel.svg.getAttribute("width");
    panel.tip.style.left = share > 0.5 ? "auto" : `calc(${100 * share}% + 12px)`;
    panel.tip.style.right = share > 0.5 ? `calc(${100 * (1 - share)}% + 12px)` : "auto";
  }
}

/** The ends of the band of a series at x, if it has one. */
function bandAt(s, x) {
  if (s.low === null || s.high === null) return "";
  const at = s.x.indexOf(x);
  return ` (${number(s.low[at])} to ${number(s.high[at])})`;
}

/** [series, y] of the panel at x, the largest first. */
function figuresAt(chart, panel, x) {
  return shownSeries(chart)
    .filter((s) => s.panel === panel.name && s.x.includes(x))
    .map((s) => [s, s.y[s.x.indexOf(x)]])
    .sort(([, a], [, b]) => (b ?? -Infinity) - (a ?? -Infinity));
}

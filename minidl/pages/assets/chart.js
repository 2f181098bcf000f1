"use strict";
// A chart: its state, and how it is drawn with Observable Plot.

// In units of a sixteenth of the page's font size, which grows with the screen.
const NARROWEST_PANEL = 320;
const GAP = 26; // between panels, as in page.css
const FONT = 12.5;
const MOST_DOTS = 30; // on a line

function unit() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
}

/** Make a chart of a figure and the JSON in it. */
function startChart(figure) {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const chart = {
    figure,
    spec,
    choices: {}, // key of where -> the value shown
    scale: spec.scales[0],
    hidden: new Set(), // names of series
    at: null, // place of the cursor in chart.xs
    panels: [],
    stage: element("div", { class: "stage" }),
    afterDraw: [],
  };
  for (const [key, values] of Object.entries(optionsOf(spec))) chart.choices[key] = values[0];
  figure.append(controls(chart), legend(chart), chart.stage, tools(chart));
  let width = 0;
  new ResizeObserver(() => {
    if (chart.stage.clientWidth === width) return;
    width = chart.stage.clientWidth;
    draw(chart);
  }).observe(chart.stage);
}

/** The values of each key of where, in their order. */
function optionsOf(spec) {
  const keys = Object.keys(spec.series[0].where);
  return Object.fromEntries(keys.map((k) => [k, unique(spec.series.map((s) => s.where[k]))]));
}

/** The series of the present choices; those whose legend is switched off, too. */
function chosenSeries(chart) {
  const wanted = Object.entries(chart.choices);
  return chart.spec.series.filter((s) => wanted.every(([key, value]) => s.where[key] === value));
}

function shownSeries(chart) {
  return chosenSeries(chart).filter((s) => !chart.hidden.has(s.name));
}

function draw(chart) {
  const all = chosenSeries(chart);
  const names = unique(all.map((s) => s.panel));
  const width = chart.stage.clientWidth;
  const fitting = Math.max(1, Math.floor(width / (NARROWEST_PANEL * unit())));
  const columns = Math.ceil(names.length / Math.ceil(names.length / fitting)); // rows alike
  chart.stage.style.setProperty("--columns", columns);
  const panelWidth = Math.floor((width - (columns - 1) * GAP * unit()) / columns);
  chart.xs = unique(all.flatMap((s) => s.x));
  if (!isNamed(chart)) chart.xs.sort((a, b) => a - b);
  const focused = chart.panels.findIndex((p) => p.plot === document.activeElement);
  chart.panels = names.map((name) => drawPanel(chart, name, panelWidth));
  chart.stage.replaceChildren(...chart.panels.map((p) => p.element));
  if (focused >= 0) chart.panels[focused]?.plot.focus();
  chart.at = chart.at === null ? null : Math.min(chart.at, chart.xs.length - 1);
  moveCursor(chart, chart.at);
  for (const then of chart.afterDraw) then();
}

function isNamed(chart) {
  return typeof chart.xs[0] === "string";
}

/** Would the names along x touch one another? */
function isCrowded(chart, width) {
  if (!isNamed(chart)) return false;
  return d3.sum(chart.xs, (name) => 8 * name.length + 12) > width / unit() - 66;
}

/** The smallest and largest value to be seen; all panels share them. */
function range(chart) {
  const values = shownSeries(chart).flatMap((s) => [...s.y, ...(s.low ?? []), ...(s.high ?? [])]);
  const known = values.filter((v) => v !== null && (chart.scale === "linear" || v > 0));
  let [low, high] = known.length ? d3.extent(known) : [chart.scale === "log" ? 0.1 : 0, 1];
  if (chart.scale === "log") return low === high ? [low / 2, high * 2] : [low, high];
  if (chart.spec.fromZero) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/** In the opening a chart leaves room for question and answer. */
function tallest(chart) {
  return chart.figure.closest(".opening") ? 300 : 360;
}

function drawPanel(chart, name, width) {
  const series = shownSeries(chart).filter((s) => s.panel === name);
  series.sort((a, b) => a.dashed - b.dashed); // what is published over what is ours
  const u = unit();
  const svg = Plot.plot({
    width,
    height: Math.min(tallest(chart) * u, Math.max(230, 0.6 * width)),
    marginTop: 24 * u,
    marginLeft: 52 * u,
    marginRight: 14 * u,
    marginBottom: (isCrowded(chart, width) ? 78 : 38) * u,
    style: { fontSize: `${FONT * u}px` },
    x: xScale(chart, width),
    y: yScale(chart),
    marks: [Plot.gridY(yTicks(chart), { strokeOpacity: 0.14 }), ...series.flatMap(marks(chart))],
  });
  svg.setAttribute("aria-hidden", "true"); // the slider around it says the figures
  const plot = element("div", { class: "plot" }, svg);
  const heading = name ? [element("h4", {}, name)] : [];
  const panel = { name, svg, plot, element: element("div", { class: "panel" }, ...heading, plot) };
  addCursor(chart, panel);
  return panel;
}

function xScale(chart, width) {
  const label = chart.spec.x;
  if (isNamed(chart)) {
    const tickRotate = isCrowded(chart, width) ? -40 : 0;
    return { type: "point", domain: chart.xs, label, padding: 0.6, tickRotate };
  }
  const [low, high] = d3.extent(chart.xs);
  const { ticks } = chosenSeries(chart)[0];
  return { domain: low === high ? [low - 1, high + 1] : [low, high], ticks, tickFormat: number, label, inset: 6 };
}

function yScale(chart) {
  return {
    type: chart.scale,
    domain: range(chart),
    inset: 4,
    label: chart.spec.y || null,
    ticks: yTicks(chart),
    tickFormat: number,
  };
}

function yTicks(chart) {
  const [low, high] = range(chart);
  if (chart.scale === "linear") return d3.ticks(low, high, 5);
  const decades = Math.log10(high / low);
  const leading = decades > 3 ? [1] : decades > 1.2 ? [1, 3] : [1, 1.5, 2, 3, 5, 7];
  const powers = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
  const ticks = powers.flatMap((p) => leading.map((m) => Number(`${m}e${p}`)));
  const seen = ticks.filter((t) => t >= low && t <= high);
  return seen.length > 8 ? seen.filter((_, i) => i % Math.ceil(seen.length / 8) === 0) : seen;
}

/** A line with its band, or dots over names. */
function marks(chart) {
  const drawable = (v) => (v === null || (chart.scale === "log" && v <= 0) ? NaN : v);
  return (s) => {
    const points = s.x.map((x, i) => ({ x, y: drawable(s.y[i]) }));
    const stroke = `var(${inkOf(s)})`;
    const dash = s.dashed ? "5 4" : null;
    const line = { x: "x", y: "y", stroke, strokeWidth: s.width, className: "line" };
    const dots = { x: "x", y: "y", stroke, className: "dots" };
    const drawn = [Plot.lineY(points, { ...line, strokeDasharray: dash })];
    if (isNamed(chart)) {
      const fill = s.dashed ? "none" : stroke;
      const dot = { ...dots, r: 3.5 + s.width, strokeWidth: 2, fill, fillOpacity: 0.75 };
      return [...(chart.spec.joined ? drawn : []), Plot.dot(points, dot)];
    }
    if (s.low !== null && s.high !== null) {
      const band = s.x.map((x, i) => ({ x, low: drawable(s.low[i]), high: drawable(s.high[i]) }));
      const area = { x: "x", y1: "low", y2: "high", fill: stroke, fillOpacity: 0.14 };
      drawn.unshift(Plot.areaY(band, area));
    }
    const every = Math.ceil(points.length / MOST_DOTS); // only markers are thinned out
    if (s.marker) {
      const some = points.filter((_, i) => i % every === 0);
      drawn.push(Plot.dot(some, { ...dots, r: 4, fill: stroke, symbol: s.marker }));
    } else if (every <= 1 && !s.dashed) {
      drawn.push(Plot.dot(points, { ...dots, r: 2, fill: stroke }));
    }
    return drawn;
  };
}

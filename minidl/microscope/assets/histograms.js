"use strict";
// Histograms, and under that of the pre-activations the activation function and its slope.

const MARGINS = { marginLeft: 46, marginRight: 12 };
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** 10⁻⁷ for 1e-7. */
function power(value) {
  const digits = String(Math.round(Math.log10(value))).replace("-", "⁻");
  return `10${digits.replace(/\d/g, (digit) => SUPERSCRIPTS[digit])}`;
}

/** The bins with finite ends: those beyond the edges are drawn as wide as their neighbours. */
function binsOf(edges, counts, isLog) {
  const inner = edges.slice(1, -1);
  const step = isLog ? inner[1] / inner[0] : inner[1] - inner[0];
  const beyond = isLog ? (e, n) => e * step ** n : (e, n) => e + n * step;
  const ends = [beyond(inner[0], -1), ...inner, beyond(inner.at(-1), 1)];
  const total = d3.sum(counts);
  return counts.map((count, i) => ({
    from: ends[i],
    to: ends[i + 1],
    low: edges[i],
    high: edges[i + 1],
    count,
    share: total ? count / total : 0,
  }));
}

/** "0.5 to 1"; "below 0.5" or "1 or more" where an end is missing. */
function binName(bin, isLog) {
  if (bin.low === null || (isLog && bin.low === 0)) return `below ${number(bin.high)}`;
  if (bin.high === null) return `${number(bin.low)} or more`;
  return `${number(bin.low)} to ${number(bin.high)}`;
}

/** A histogram with its readings and its table; ``curves`` are drawn under it. */
function histogramFigure({ width, title, about, x, edges, counts, isLog = false, curves = [] }) {
  const bins = binsOf(edges, counts, isLog);
  const domain = [bins[0].from, bins.at(-1).to];
  const scale = { type: isLog ? "log" : "linear", domain, label: x };
  if (isLog) scale.ticks = d3.range(-10, 3, 2).map((p) => Number(`1e${p}`));
  if (isLog) scale.tickFormat = power;
  const svg = Plot.plot({
    width,
    height: 200,
    ...MARGINS,
    marginBottom: curves.length ? 8 : 36,
    style: { fontSize: "12px" },
    x: curves.length ? { ...scale, axis: null } : scale,
    y: { label: "% of values", percent: true, ticks: 4, nice: true },
    marks: [
      Plot.gridY({ ticks: 4, strokeOpacity: 0.14 }),
      Plot.rectY(bins, { x1: "from", x2: "to", y: "share", fill: "var(--series-15)", inset: 0.4 }),
      Plot.ruleY([0], { stroke: "var(--soft)" }),
    ],
  });
  const lines = curves.map((curve, i) =>
    curvePlot(width, curve, i === curves.length - 1 ? scale : { ...scale, axis: null }),
  );
  const mark = element("div", { class: "bin" });
  const plot = element("div", { class: "plot" }, svg, ...lines, mark);
  for (const part of [svg, ...lines]) part.setAttribute("aria-hidden", "true");
  const position = (value) => svg.scale("x").apply(value) / width;
  const say = (i) => {
    const { count, share } = bins[i];
    const of = number(d3.sum(counts));
    return `${x} ${binName(bins[i], isLog)}: ${number(count)} of ${of}, ${number(100 * share)}%`;
  };
  const line = readable(plot, {
    label: title,
    count: bins.length,
    placeAt: (at) => {
      const i = bins.findIndex((bin) => at >= position(bin.from) && at < position(bin.to));
      return i < 0 ? null : i;
    },
    mark: (i) => {
      mark.hidden = i === null;
      if (i === null) return;
      mark.style.left = `${100 * position(bins[i].from)}%`;
      mark.style.width = `${100 * (position(bins[i].to) - position(bins[i].from))}%`;
    },
    say,
  });
  const table = tableBehind(title, [x, "values", "share"], () =>
    bins.map((bin) => [binName(bin, isLog), number(bin.count), `${number(100 * bin.share)}%`]),
  );
  const caption = element("figcaption", {}, element("h4", {}, title), element("p", {}, about));
  return element("figure", { class: "histogram" }, caption, plot, line, ...table);
}

/** A function over the same axis as the histogram above it; ``mean`` is drawn across. */
function curvePlot(width, { name, z, values, colour, mean = null }, scale) {
  const points = z.map((x, i) => ({ x, y: values[i] }));
  const marks = [
    Plot.ruleY([0], { stroke: "var(--soft)", strokeOpacity: 0.5 }),
    Plot.areaY(points, { x: "x", y: "y", fill: colour, fillOpacity: 0.14 }),
    Plot.lineY(points, { x: "x", y: "y", stroke: colour, strokeWidth: 2.2 }),
    Plot.text([name], { frameAnchor: "top-left", dx: 6, dy: 2, fill: colour, fontWeight: 600 }),
  ];
  if (mean !== null) {
    marks.push(Plot.ruleY([mean], { stroke: "var(--ink)" }));
    const text = { frameAnchor: "right", y: mean, dy: -7, fill: "var(--ink)", textAnchor: "end" };
    marks.push(Plot.text([`mean ${number(mean)}`], text));
  }
  return Plot.plot({
    width,
    height: scale.axis === null ? 84 : 112,
    ...MARGINS,
    marginTop: 6,
    marginBottom: scale.axis === null ? 6 : 34,
    style: { fontSize: "12px" },
    x: scale,
    y: { label: null, ticks: 3, domain: [Math.min(0, d3.min(values)), d3.max(values) || 1] },
    marks,
  });
}

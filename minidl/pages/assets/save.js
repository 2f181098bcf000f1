"use strict";
// A chart as a file: SVG and PNG with title and legend, CSV with all digits.

const STYLES = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width"];
STYLES.push("stroke-dasharray", "font-family", "font-size", "font-weight", "text-anchor");

/** The buttons under a chart. */
function tools(chart) {
  const { box, fill } = tableView(chart);
  const toggle = (event) => {
    box.hidden = !box.hidden;
    event.currentTarget.setAttribute("aria-expanded", !box.hidden);
    fill();
  };
  const name = chart.spec.name;
  const save = {
    SVG: () => saveFile(`${name}.svg`, pictureOf(chart), "image/svg+xml"),
    PNG: () => savePng(chart),
    CSV: () => saveFile(`${name}.csv`, csv(chart), "text/csv"),
  };
  const buttons = Object.entries(save).map(([kind, click]) => {
    const label = `Save as ${kind}: ${chart.spec.title}`;
    return element("button", { type: "button", click, "aria-label": label }, `Save ${kind}`);
  });
  const attributes = { "aria-expanded": false, "aria-controls": box.id, click: toggle };
  const table = element("button", { type: "button", ...attributes }, "Table");
  return element("div", {}, element("div", { class: "tools" }, table, ...buttons), box);
}

/** The chart as it is seen now as the text of one SVG, with every style written out. */
function pictureOf(chart) {
  const page = getComputedStyle(document.body);
  const text = { fill: page.color, "font-family": getComputedStyle(chart.stage).fontFamily };
  const frame = chart.stage.getBoundingClientRect();
  const width = Math.ceil(frame.width) + 32;
  const names = [...d3.group(shownSeries(chart), (s) => s.name).values()].map(([first]) => first);
  const parts = [
    svgElement(
      "text",
      { ...text, x: 16, y: 30, "font-size": 17, "font-weight": 600 },
      chart.spec.title,
    ),
  ];
  let [x, y] = [16, 54];
  for (const series of names) {
    const wide = 46 + 7.5 * series.name.length;
    if (x + wide > width && x > 16) [x, y] = [16, y + 20];
    const colour = page.getPropertyValue(inkOf(series));
    parts.push(...legendEntry(series, x, y, text, resolved(chart.stage, colour)));
    x += wide;
  }
  const top = y + 18;
  for (const panel of chart.panels) {
    const box = panel.plot.getBoundingClientRect();
    const [left, down] = [16 + box.left - frame.left, top + box.top - frame.top];
    if (panel.name) {
      const place = { x: left, y: down - 6, "font-size": 13, "font-weight": 600 };
      parts.push(svgElement("text", { ...text, ...place }, panel.name));
    }
    const copy = withStyles(panel.svg);
    for (const [key, value] of Object.entries({ x: left, y: down })) copy.setAttribute(key, value);
    parts.push(copy);
  }
  const height = Math.ceil(top + frame.height) + 16;
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  const paper = svgElement("rect", { width, height, fill: page.backgroundColor });
  return new XMLSerializer().serializeToString(svgElement("svg", size, paper, ...parts));
}

function legendEntry(series, x, y, text, colour) {
  const name = svgElement("text", { ...text, x: x + 30, y, "font-size": 13 }, series.name);
  return [sample(series, x, y - 4, colour), name];
}

/** A colour of the style sheet as the browser computes it, light or dark. */
function resolved(place, colour) {
  const probe = element("i", { style: `color: ${colour}` });
  place.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** A copy of an SVG that needs no style sheet. */
function withStyles(svg) {
  const copy = svg.cloneNode(true);
  const copies = copy.querySelectorAll("*");
  svg.querySelectorAll("*").forEach((original, i) => {
    const style = getComputedStyle(original);
    for (const name of STYLES) copies[i].setAttribute(name, style.getPropertyValue(name));
  });
  copy.querySelectorAll("style, .cursor").forEach((node) => node.remove());
  return copy;
}

function savePng(chart) {
  const image = new Image();
  image.onload = () => {
    const canvas = element("canvas", { width: 2 * image.width, height: 2 * image.height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => saveFile(`${chart.spec.name}.png`, blob, "image/png"));
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(pictureOf(chart))}`;
}

"use strict";
// What a reader can choose in a chart: values of where, the scale, the series in the legend.

const MOST_BUTTONS = 4; // more values than that become a list to choose from

function controls(chart) {
  const groups = Object.entries(optionsOf(chart.spec)).map(([key, values]) =>
    choice(chart, key, values, (value) => {
      chart.choices[key] = value;
    }),
  );
  if (chart.spec.scales.length > 1) {
    const names = { linear: "linear", log: "logarithmic" };
    groups.push(
      choice(
        chart,
        "scale",
        chart.spec.scales,
        (value) => {
          chart.scale = value;
        },
        names,
      ),
    );
  }
  return element("div", { class: "controls" }, ...groups);
}

/** A row of buttons of which one is chosen, or a list; ``set`` is called before the chart is drawn. */
function choice(chart, key, values, set, names = {}) {
  if (values.length < 2) return "";
  const change = (event) => {
    set(event.target.value);
    draw(chart);
  };
  if (values.length > MOST_BUTTONS) {
    const options = values.map((value) => element("option", { value }, names[value] ?? value));
    return element("label", {}, key, element("select", { change }, ...options));
  }
  const group = `${chart.spec.name}-${key}`;
  const buttons = values.map((value, i) => {
    const checked = i === 0 ? "" : null;
    const input = element("input", { type: "radio", name: group, value, checked, change });
    return element("label", {}, input, names[value] ?? value);
  });
  return element("fieldset", {}, element("legend", {}, key), ...buttons);
}

/** A button for each name of the present series, which hides and shows them. */
function legend(chart) {
  const list = element("div", { class: "legend", role: "group", "aria-label": "series shown" });
  let names = "";
  chart.afterDraw.push(() => {
    const series = d3.group(chosenSeries(chart), (s) => s.name);
    if (names === [...series.keys()].join("\n")) return; // the button in use keeps the focus
    names = [...series.keys()].join("\n");
    list.replaceChildren(...[...series.values()].map(([first]) => legendButton(chart, first)));
    list.hidden = series.size < 2;
  });
  return list;
}

function legendButton(chart, series) {
  const click = (event) => {
    const hide = !chart.hidden.has(series.name);
    if (hide) chart.hidden.add(series.name);
    else chart.hidden.delete(series.name);
    event.currentTarget.setAttribute("aria-pressed", !hide);
    draw(chart);
  };
  const pressed = !chart.hidden.has(series.name);
  return element(
    "button",
    { type: "button", "aria-pressed": pressed, click },
    swatch(series),
    series.name,
  );
}

function swatch(series) {
  return svgElement(
    "svg",
    { width: 24, height: 10, "aria-hidden": "true" },
    sample(series, 0, 5, `var(${inkOf(series)})`),
  );
}

/** A piece of a series as it is drawn, 24 wide. */
function sample(series, x, y, colour) {
  const style = `stroke: ${colour}; fill: ${series.dashed ? "none" : colour}`;
  if (typeof series.x[0] === "string") {
    return svgElement("circle", { cx: x + 12, cy: y, r: 4, "stroke-width": 2, style });
  }
  const dash = series.dashed ? "5 4" : "none";
  const line = { x1: x, x2: x + 24, y1: y, y2: y, "stroke-width": 2.5, "stroke-dasharray": dash };
  const drawn = svgElement("line", { ...line, style });
  if (!series.marker) return drawn;
  const shape = d3[`symbol${series.marker[0].toUpperCase()}${series.marker.slice(1)}`];
  const place = { transform: `translate(${x + 12},${y})`, d: d3.symbol(shape, 50)() };
  return svgElement("g", {}, drawn, svgElement("path", { ...place, style }));
}

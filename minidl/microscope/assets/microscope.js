"use strict";
// The snapshots of a run: choose network, epoch, layer and unit, and see them.

const snapshotsPlace = document.getElementById("snapshots");
if (snapshotsPlace) startSnapshots(snapshotsPlace);

function startSnapshots(place) {
  const data = JSON.parse(place.querySelector("script").textContent);
  if (!data.networks.length) return;
  const state = {
    data,
    network: 0,
    snapshot: data.networks[0].snapshots.length - 1,
    layer: "",
    unit: null, // place among the units shown; null: that of the largest gradient
    all: 0, // 1: histograms of all units of the layer
    block: 0, // the layer of attention
    head: 0,
    width: 0, // of the place for pictures and histograms
    unpacked: new Map(),
  };
  const names = data.networks.map((network) => network.name);
  const parts = ["which", "signal", "attention", "layers", "units", "view"];
  for (const part of parts) state[part] = element("div", { class: part });
  place.append(...parts.map((part) => state[part]));
  const chooseNetwork = (i) => {
    const { epoch } = snapshotOf(state);
    state.network = i;
    state.unit = null; // the units of two networks have nothing to do with one another
    const epochs = data.networks[i].snapshots.map((snapshot) => snapshot.epoch);
    state.snapshot = d3.leastIndex(epochs, (a, b) => Math.abs(a - epoch) - Math.abs(b - epoch));
    showEpochs(state);
    showSnapshot(state);
  };
  state.epochs = element("div", { class: "epochs" });
  state.which.classList.add("controls");
  state.which.append(chooser("network", names, 0, chooseNetwork), state.epochs);
  showEpochs(state);
  new ResizeObserver(() => {
    const width = state.view.clientWidth;
    if (width === 0 || width === state.width) return; // 0: while a window opens
    state.width = width;
    showSnapshot(state);
  }).observe(state.view);
}

function snapshotOf(state) {
  return state.data.networks[state.network].snapshots[state.snapshot];
}

/** The slider over the epochs of the network. */
function showEpochs(state) {
  const { snapshots } = state.data.networks[state.network];
  const said = element("output", {}, "");
  const name = () => {
    said.textContent = snapshotOf(state).epoch;
    slider.setAttribute("aria-valuetext", `epoch ${said.textContent}`);
  };
  const input = () => {
    state.snapshot = Number(slider.value);
    name();
    showSnapshot(state);
  };
  const max = snapshots.length - 1;
  const slider = element("input", { type: "range", min: 0, max, step: 1, input });
  slider.value = state.snapshot;
  name();
  state.epochs.replaceChildren(element("label", {}, "epoch", slider, said));
}

/** Layers and attention of the snapshot, unpacked once. */
async function contentsOf(state, snapshot) {
  if (!state.unpacked.has(snapshot)) {
    const bytes = Uint8Array.from(atob(snapshot.packed), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const contents = await new Response(stream).json();
    for (const layer of contents.layers) {
      for (const key of ["W", "dW"]) {
        layer[key] = Int8Array.from(atob(layer[key]), (c) => c.charCodeAt(0));
      }
    }
    for (const seen of contents.attention) {
      seen.P = Uint8Array.from(atob(seen.P), (c) => c.charCodeAt(0));
    }
    state.unpacked.set(snapshot, contents);
  }
  return state.unpacked.get(snapshot);
}

async function showSnapshot(state) {
  const snapshot = snapshotOf(state);
  const { layers, attention } = await contentsOf(state, snapshot);
  if (snapshot !== snapshotOf(state)) return; // another one was chosen meanwhile
  showSignal(state, snapshot);
  showAttention(state, snapshot, attention);
  const names = layers.map((layer) => layer.name);
  if (!names.includes(state.layer)) state.layer = (layers.find(isAlive) ?? layers[0]).name;
  const chosen = names.indexOf(state.layer);
  const set = (i) => {
    state.layer = names[i];
    state.unit = null;
    showLayer(state, layers);
  };
  const labels = layers.map((layer) => `${layer.name}: ${layer.text}`);
  if (state.layers.dataset.names !== labels.join("\n")) {
    state.layers.dataset.names = labels.join("\n");
    const choice = chooser("layer", labels, chosen, set);
    state.layers.replaceChildren(element("div", { class: "controls" }, choice));
  }
  showLayer(state, layers);
}

/** Does any of the units shown have a gradient? */
function isAlive(layer) {
  return layer.shown.some((unit) => layer.gradient[unit] > 0);
}

/** The place of the unit shown with the largest gradient. */
function liveliest(layer) {
  return Math.max(0, d3.maxIndex(layer.shown, (unit) => layer.gradient[unit]));
}

/** The norm at every stop, the factor it was multiplied by, and the share that is left. */
function showSignal(state, snapshot) {
  const { name } = state.data.networks[state.network];
  const all = state.data.networks.flatMap((n) => n.snapshots.flatMap((one) => one.signal));
  const norms = all.map((stop) => stop.norm).filter((v) => v > 0);
  const bar = d3.scaleLog(d3.extent(norms), [2, 100]);
  const through = {
    loss: () => "the loss",
    slope: (layer) => `f′ of ${layer}`,
    weights: (layer) => `the weights of ${layer}`,
    layer: (layer) => layer,
  };
  const first = snapshot.signal[0].norm;
  const isPredicted = snapshot.signal.some((stop) => stop.predicted !== null);
  const times = (factor) => (factor === null ? "" : `× ${number(factor)}`);
  const rows = snapshot.signal.map((stop) => {
    const strip = element("div", { class: `strength ${stop.through}` });
    strip.style.width = `${stop.norm > 0 ? bar(stop.norm) : 0}%`;
    const left = first > 0 && stop.norm !== null ? `${number((100 * stop.norm) / first)}%` : "–";
    return [
      `∂L/∂ ${stop.array}`,
      through[stop.through](stop.layer),
      times(stop.factor),
      times(stop.predicted),
      number(stop.norm),
      left,
      strip,
    ];
  });
  const head = ["signal at", "after", "factor", "predicted", "norm", "share left"];
  head.push("strength (logarithmic)");
  const title = `The backward signal in ${name}, epoch ${snapshot.epoch}`;
  const loss = `Loss ${number(snapshot.loss)} over ${snapshot.examples} examples.`;
  const about = `${loss} The product of the factors is the share that is left; bars in the stronger colour follow a slope f′.`;
  const theory = "Predicted: what random weights of that size would do, from f and f′ alone.";
  const table = element(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": title },
    tableElement(head, rows),
  );
  const said = isPredicted ? `${about} ${theory}` : about;
  state.signal.replaceChildren(element("h3", {}, title), element("p", {}, said), table);
}

/** The units of the layer to choose from, then the one chosen. */
function showLayer(state, layers) {
  const at = layers.findIndex((layer) => layer.name === state.layer);
  const layer = layers[at];
  const layout = layoutOf(layer.shape, at === 0 && layer.shape[0] === 3);
  state.unit ??= liveliest(layer);
  const thumbnails = layer.shown.map((unit, row) => {
    const canvas = element("canvas", { "aria-hidden": true });
    paint(canvas, layout, levelColour(layout, rowOf(layer, "W", row), state.data.levels));
    const change = () => {
      state.unit = row;
      showUnit(state, layer, layout);
    };
    const checked = row === state.unit ? "" : null;
    const input = element("input", { type: "radio", name: "unit", value: row, checked, change });
    return element("label", {}, input, canvas, `${unit}`);
  });
  const focused = document.activeElement?.name === "unit";
  const [seen, all] = [layer.shown.length, layer.units];
  const legendText = `unit: ${seen} of ${all}, each shown by its weights`;
  state.units.replaceChildren(
    element("fieldset", { class: "thumbnails" }, element("legend", {}, legendText), ...thumbnails),
  );
  if (focused) state.units.querySelector("input:checked").focus();
  showUnit(state, layer, layout);
}

/** The levels of one unit. */
function rowOf(layer, key, row) {
  const size = layer.shape.reduce((a, b) => a * b);
  return layer[key].subarray(row * size, (row + 1) * size);
}

function showUnit(state, layer, layout) {
  const { data, unit: row } = state;
  const unit = layer.shown[row];
  const weights = unitPicture(data, layer, layout, row, "W", `Weights into unit ${unit}`, "w");
  const gradient = unitPicture(data, layer, layout, row, "dW", "Their gradient", "∂L/∂w");
  const histograms = element("div", { class: "histograms" });
  const width = Math.min(560, state.width > 760 ? Math.floor(state.width / 2) - 20 : state.width);
  const show = (all) => {
    state.all = all;
    histograms.replaceChildren(...histogramsOf(data, layer, all ? 0 : row + 1, unit, width));
  };
  show(state.all);
  const choice = chooser("values of", ["this unit", "all units of the layer"], state.all, show);
  state.view.replaceChildren(
    factsOf(data, layer, row),
    element("div", { class: "pictures" }, weights, gradient, everyUnit(data, layer)),
    element("div", { class: "controls" }, choice),
    histograms,
  );
}

function unitPicture(data, layer, layout, row, key, title, letter) {
  const levels = rowOf(layer, key, row);
  const scale = layer[`${key}Scale`][row];
  const value = (level) => (scale === null ? null : level * scale);
  const most = number(value(data.levels));
  const zero = layout.parts(0).length === 1 ? "white" : "grey";
  const about = `${zero} is 0, the largest ${letter === "w" ? "weight" : "gradient"} is ±${most}`;
  const say = (i) => {
    const parts = layout
      .parts(i)
      .map(([name, at]) => `${name} ${number(value(levels[at]))}`.trim());
    return `${layout.name(i)}: ${letter} = ${parts.join(", ")}`;
  };
  return pictureFigure(title, about, layout, levelColour(layout, levels, data.levels), say);
}

/** Every unit of the layer as a place, by its mean slope. */
function everyUnit(data, layer) {
  if (layer.slope.some((slope) => slope === null)) return "";
  const layout = layoutOf([layer.units], false);
  const steepest = d3.max(data.curves[layer.activation][1]);
  const colour = (i) => d3.rgb(SHADES(Math.min(1, Math.abs(layer.slope[i]) / steepest)));
  const say = (i) => {
    const [slope, size] = [number(layer.slope[i]), number(layer.gradient[i])];
    return `unit ${i}: mean f′(z) ${slope}, mean |∂L/∂w| ${size}`;
  };
  const about = `dark is flat, yellow as steep as f can be (${number(steepest)})`;
  return pictureFigure(`All ${layer.units} units by mean f′(z)`, about, layout, colour, say);
}

function factsOf(data, layer, row) {
  const unit = layer.shown[row];
  const facts = [
    [`f(z), ${layer.activation}`, layer.formula],
    ["f′(z)", layer.derivative],
    ["mean f′(z)", ofUnit(layer.slope, unit)],
    ["mean |∂L/∂w|", ofUnit(layer.gradient, unit)],
    ["bias b and ∂L/∂b", `${number(layer.b[row])} and ${number(layer.db[row])}`],
  ];
  const rows = facts.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]);
  const title = `Unit ${unit} of ${layer.name}`;
  return element("div", { class: "facts" }, element("h3", {}, title), element("dl", {}, ...rows));
}

function ofUnit(figures, unit) {
  return `${number(figures[unit])}; all units: ${number(d3.mean(figures))}`;
}

/** Pre-activations over f and f', gradients, and activations; row 0 is of all units. */
function histogramsOf(data, layer, row, unit, width) {
  const of = row ? `unit ${unit}` : `all ${layer.units} units`;
  const [f, slope] = data.curves[layer.activation];
  const drawn = f.every((y) => y !== null);
  const mean = row ? layer.slope[unit] : d3.mean(layer.slope);
  const curves = [
    { name: "f(z)", z: data.curveZ, values: f, colour: "var(--series-13)" },
    { name: "f′(z)", z: data.curveZ, values: slope, colour: "var(--series-10)", mean },
  ];
  return [
    histogramFigure({
      width,
      title: `Pre-activations, ${of}`,
      about: drawn
        ? "Below, at the same z: f, applied forward, and f′, which multiplies the signal backward."
        : "Their function depends on all units at once, so no unit has a slope of its own.",
      x: "z",
      edges: data.zEdges,
      counts: layer.z[row],
      curves: drawn ? curves : [],
    }),
    histogramFigure({
      width,
      title: `Gradients of the weights, ${of}`,
      about: "Magnitudes, by powers of ten; at the far left, nothing is learned.",
      x: "|∂L/∂w|",
      edges: data.gradientEdges,
      counts: layer.gradients[row],
      isLog: true,
    }),
    histogramFigure({
      width,
      title: `Activations, ${of}`,
      about: "What the next layer receives.",
      x: "y",
      edges: layer.yEdges,
      counts: layer.y[row],
    }),
  ];
}

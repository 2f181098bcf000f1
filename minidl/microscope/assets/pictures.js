"use strict";
// Weights and gradients as pictures: a pixel for each number, or each three of a colour image.

// Below zero blue, above it orange, zero white; readable without telling red from green.
const SIGNED = d3.piecewise(["#08457e", "#4d94c9", "#f8f7f4", "#d9813f", "#8a3300"]);
const SHADES = d3.piecewise(["#21252b", "#7a5f1c", "#ffd34d"]);
const COLOURS = ["red", "green", "blue"];

/** Where the numbers of one unit lie in its picture, and what each place is called. */
function layoutOf(shape, isColour) {
  if (shape.length === 3 && isColour) {
    const [, height, width] = shape;
    const size = height * width;
    return {
      ...grid(width, height, size),
      parts: (i) => COLOURS.map((name, c) => [name, c * size + i]),
      name: (i) => `row ${Math.floor(i / width) + 1}, column ${(i % width) + 1}`,
    };
  }
  if (shape.length === 3) return maps(shape);
  const count = shape.reduce((a, b) => a * b);
  const width = shape.length === 2 ? shape[1] : nearSquare(count);
  const from = shape.length === 2 ? "input" : "unit below";
  return {
    ...grid(width, Math.ceil(count / width), count),
    parts: (i) => [["", i]],
    name: (i) => `${from} ${i}`,
  };
}

function grid(width, height, count) {
  const at = (x, y) => (x < width && y * width + x < count ? y * width + x : null);
  return {
    width,
    height,
    count,
    across: width,
    at,
    where: (i) => [i % width, Math.floor(i / width)],
  };
}

/** One small picture for each channel, side by side with a gap of one. */
function maps([channels, height, width]) {
  const columns = Math.ceil(Math.sqrt(channels));
  const [wide, high] = [width + 1, height + 1];
  const size = width * height;
  return {
    width: columns * wide - 1,
    height: Math.ceil(channels / columns) * high - 1,
    count: channels * size,
    across: width,
    at: (x, y) => {
      const channel = Math.floor(y / high) * columns + Math.floor(x / wide);
      const [column, row] = [x % wide, y % high];
      const inside = column < width && row < height && channel < channels;
      return inside ? channel * size + row * width + column : null;
    },
    where: (i) => {
      const [channel, place] = [Math.floor(i / size), i % size];
      const [x, y] = [(channel % columns) * wide, Math.floor(channel / columns) * high];
      return [x + (place % width), y + Math.floor(place / width)];
    },
    parts: (i) => [["", i]],
    name: (i) => {
      const place = i % size;
      const row = `row ${Math.floor(place / width) + 1}, column ${(place % width) + 1}`;
      return `channel ${Math.floor(i / size)}, ${row}`;
    },
  };
}

/** The width of a rectangle of ``count`` places: a divisor of it, if one is close to √count. */
function nearSquare(count) {
  const least = Math.ceil(Math.sqrt(count));
  for (let width = least; width <= 2 * least; width++) if (count % width === 0) return width;
  return least;
}

/** Give every place of the picture its colour. */
function paint(canvas, layout, colourOf) {
  canvas.width = layout.width;
  canvas.height = layout.height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(layout.width, layout.height);
  for (let i = 0; i < layout.count; i++) {
    const [x, y] = layout.where(i);
    const { r, g, b } = colourOf(i);
    image.data.set([r, g, b, 255], 4 * (y * layout.width + x));
  }
  context.putImageData(image, 0, 0);
}

/** The colour of place i of a unit's levels. */
function levelColour(layout, levels, most) {
  const table = d3.range(2 * most + 1).map((l) => d3.rgb(SIGNED(l / (2 * most))));
  return (i) => {
    const parts = layout.parts(i);
    if (parts.length === 1) return table[levels[parts[0][1]] + most];
    const [r, g, b] = parts.map(([, at]) => Math.round((255 * (levels[at] + most)) / (2 * most)));
    return { r, g, b };
  };
}

/** A picture whose values can be read off, in a figure with its title. */
function pictureFigure(title, about, layout, colourOf, say, more = []) {
  const canvas = element("canvas");
  paint(canvas, layout, colourOf);
  const frame = element("div", { class: "frame" });
  const box = element("div", { class: "pixels" }, canvas, frame);
  box.style.aspectRatio = `${layout.width} / ${layout.height}`;
  box.style.setProperty("--wide", layout.width / layout.height);
  const line = readable(box, {
    label: title,
    count: layout.count,
    across: layout.across,
    placeAt: (x, y) => layout.at(Math.floor(x * layout.width), Math.floor(y * layout.height)),
    mark: (i) => {
      frame.hidden = i === null;
      if (i === null) return;
      const [x, y] = layout.where(i);
      frame.style.left = `${(100 * x) / layout.width}%`;
      frame.style.top = `${(100 * y) / layout.height}%`;
      frame.style.width = `${100 / layout.width}%`;
      frame.style.height = `${100 / layout.height}%`;
    },
    say,
  });
  const caption = element("figcaption", {}, element("h4", {}, title), element("p", {}, about));
  return element("figure", { class: "pixel-figure" }, caption, box, line, ...more);
}

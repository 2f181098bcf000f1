"use strict";
// Elements, numbers and files: what the other scripts share.

/** An element with attributes, event handlers (functions) and children; texts stay texts. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function svgElement(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const shortNumber = d3.format(".4~g");

/** Four digits, a true minus, and a dash where there is no number. */
function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    return value.toExponential(3).replaceAll("-", "−");
  }
  return shortNumber(value);
}

/** The colour of a series, light and dark in one: a variable of the style sheet. */
function inkOf(series) {
  return `--series-${series.colour}${series.shade ? `-${series.shade}` : ""}`;
}

function unique(values) {
  return [...new Set(values)];
}

/** Give the reader a file. */
function saveFile(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

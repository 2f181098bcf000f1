"use strict";
// What the parts of the microscope share: choices, sliders that read off values, tables.

/** Radio buttons, or a list if there are many; ``set`` gets the index of the one chosen. */
function chooser(label, names, chosen, set) {
  const change = (event) => set(Number(event.target.value));
  if (names.length > MOST_BUTTONS) {
    const options = names.map((name, i) => element("option", { value: i }, name));
    const list = element("select", { change }, ...options);
    list.value = chosen;
    return element("label", {}, label, list);
  }
  const group = slugOf(label);
  const buttons = names.map((name, i) => {
    const checked = i === chosen ? "" : null;
    const input = element("input", { type: "radio", name: group, value: i, checked, change });
    return element("label", {}, input, name);
  });
  return element("fieldset", {}, element("legend", {}, label), ...buttons);
}

function slugOf(text) {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
}

/**
 * Make ``node`` a slider over ``count`` places and return the line that says what is there.
 *
 * ``placeAt(x, y)`` is the place at a share of the width and of the height, or null;
 * ``mark(place)`` shows which one it is, null: none; ``say(place)`` is its text.  Up and down go
 * ``across`` places.
 */
function readable(node, { label, count, across = 1, placeAt, mark, say }) {
  const line = element("p", { class: "reading" });
  let at = null;
  const show = (place) => {
    at = place;
    mark(place);
    line.textContent = place === null ? "\u00a0" : say(place);
    node.setAttribute("aria-valuenow", place ?? 0);
    node.setAttribute("aria-valuetext", say(place ?? 0));
  };
  const point = (event) => {
    const box = node.getBoundingClientRect();
    show(placeAt((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height));
  };
  const attributes = { role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": 0 };
  attributes["aria-valuemax"] = count - 1;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.addEventListener("pointermove", point);
  node.addEventListener("pointerdown", point);
  node.addEventListener("pointerleave", () => {
    if (document.activeElement !== node) show(null);
  });
  node.addEventListener("focus", () => {
    if (node.matches(":focus-visible")) show(at ?? 0);
  });
  node.addEventListener("blur", () => show(null));
  node.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across };
    Object.assign(steps, { Home: -count, End: count, PageUp: -10 * across, PageDown: 10 * across });
    if (!(event.key in steps)) return;
    event.preventDefault();
    show(Math.max(0, Math.min(count - 1, (at ?? 0) + steps[event.key])));
  });
  show(null);
  return line;
}

/** A button that opens and closes a table, and the table, filled when it is first opened. */
function tableBehind(label, head, rowsOf) {
  const box = element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label });
  box.hidden = true;
  const click = (event) => {
    box.hidden = !box.hidden;
    event.currentTarget.setAttribute("aria-expanded", !box.hidden);
    if (!box.firstChild) box.append(tableElement(head, rowsOf()));
  };
  const attributes = { type: "button", "aria-expanded": false, "aria-label": `Table: ${label}` };
  return [
    element("div", { class: "tools" }, element("button", { ...attributes, click }, "Table")),
    box,
  ];
}

/** A table; the first cell of each row is its head. */
function tableElement(head, rows) {
  const cells = head.map((name) => element("th", { scope: "col" }, name));
  const lines = rows.map(([first, ...rest]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, first),
      ...rest.map((cell, i) => element("td", { "data-head": head[i + 1] }, cell)),
    ),
  );
  return element(
    "table",
    { class: "numbers" },
    element("thead", {}, element("tr", {}, ...cells)),
    element("tbody", {}, ...lines),
  );
}

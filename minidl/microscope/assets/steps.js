"use strict";
// One training step, array by array; each number shows what it was computed from.

const stepsPlace = document.getElementById("steps");
const PARTS = { forward: "Forward", backward: "Backward", update: "Update" };
startSteps(stepsPlace);

function startSteps(place) {
  const walks = JSON.parse(place.querySelector("script").textContent);
  const state = { walk: walks[0], step: 0, cells: new Map(), at: null };
  state.sheet = element("div", { class: "sheet" });
  state.now = element("p", { class: "now", "aria-live": "polite" });
  state.why = element("div", { class: "why", "aria-live": "polite" });
  const choose = (i) => {
    state.walk = walks[i];
    showWalk(state);
  };
  const go = (to) => () => showStep(state, to(state.step));
  const button = (name, to) => element("button", { type: "button", click: go(to) }, name);
  const last = () => state.walk.tables.length - 1;
  const buttons = [
    button("Start", () => firstStep(state.walk)),
    button("Back", (step) => Math.max(firstStep(state.walk), step - 1)),
    button("Next", (step) => Math.min(last(), step + 1)),
    button("All", last),
  ];
  const names = walks.map((walk) => walk.title);
  place.append(
    element("div", { class: "controls" }, chooser("hidden layer", names, 0, choose)),
    element("div", { class: "controls walk" }, ...buttons, state.now),
    element("div", { class: "step" }, state.sheet, state.why),
  );
  state.step = last();
  showWalk(state);
}

/** The first array that is not given. */
function firstStep(walk) {
  return walk.tables.findIndex((table) => table.formula);
}

function showWalk(state) {
  state.cells.clear();
  const { tables } = state.walk;
  const places = unique(tables.map((table) => table.place));
  const rows = Object.keys(PARTS).map((part) => {
    const columns = places.map((where) => {
      const here = tables.filter((table) => table.part === part && table.place === where);
      const head = element("h4", {}, where);
      return element(
        "div",
        { class: "column" },
        here.length ? head : "",
        ...here.map((t) => arrayOf(state, t)),
      );
    });
    const head = element("h3", {}, PARTS[part]);
    return element("div", { class: `part ${part}` }, head, ...columns);
  });
  state.sheet.replaceChildren(...rows);
  state.order = [...state.cells.keys()];
  state.at = state.order.includes(state.at) ? state.at : state.order[0];
  showStep(state, state.step);
}

/** One array: its name and formula, and its numbers as buttons. */
function arrayOf(state, table) {
  const rows = table.rows.map((row) =>
    element("tr", {}, ...row.map((cell) => element("td", {}, numberOf(state, cell, table)))),
  );
  const formula = table.formula ? ` = ${table.formula}` : "";
  const caption = element(
    "caption",
    {},
    element("b", {}, table.name),
    formula,
    element("br"),
    table.meaning,
  );
  const made = element("table", { class: "array" }, caption, element("tbody", {}, ...rows));
  made.dataset.step = state.walk.tables.indexOf(table);
  return made;
}

function numberOf(state, cell, table) {
  const explain = () => explainNumber(state, cell.name);
  const keydown = (event) => {
    const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
    const seen = state.order.filter((name) => !state.cells.get(name).node.closest("table").hidden);
    Object.assign(steps, { Home: -seen.length, End: seen.length });
    if (!(event.key in steps)) return;
    event.preventDefault();
    const to = seen.indexOf(cell.name) + steps[event.key];
    state.cells.get(seen[Math.max(0, Math.min(seen.length - 1, to))]).node.focus();
  };
  const attributes = {
    type: "button",
    class: "number",
    tabindex: -1,
    "aria-label": `${cell.name} = ${number(cell.value)}`,
  };
  const events = { focus: explain, pointerenter: explain, click: explain, keydown };
  const node = element("button", { ...attributes, ...events }, number(cell.value));
  state.cells.set(cell.name, { ...cell, node, table });
  return node;
}

/** Highlight the numbers it was computed from, and write out the arithmetic. */
function explainNumber(state, name) {
  const { formula, value, table } = state.cells.get(name);
  state.at = name;
  const parts = formula.split(/\{(.+?)\}/); // text and names in turn
  const sources = new Set(parts.filter((_, i) => i % 2));
  for (const [other, { node }] of state.cells) {
    node.classList.toggle("source", sources.has(other));
    node.classList.toggle("chosen", other === name);
    node.tabIndex = other === name ? 0 : -1;
  }
  const letters = parts.join("");
  const figures = parts.map((part, i) => (i % 2 ? inFormula(state.cells.get(part).value) : part));
  const lines = formula
    ? [`${name} = ${letters}`, `= ${figures.join("")}`, `= ${number(value)}`]
    : [`${name} = ${number(value)}`, `given: ${table.meaning}`];
  state.why.replaceChildren(...lines.map((line) => element("p", {}, line)));
}

/** A number as a part of a formula: a negative one in parentheses. */
function inFormula(value) {
  return value < 0 ? `(${number(value)})` : number(value);
}

/** Show the arrays up to this one. */
function showStep(state, step) {
  state.step = step;
  for (const made of state.sheet.querySelectorAll(".array")) {
    made.hidden = made.dataset.step > step && state.walk.tables[made.dataset.step].formula !== "";
    made.classList.toggle("latest", Number(made.dataset.step) === step);
  }
  const table = state.walk.tables[step];
  const steps = state.walk.tables.filter((t) => t.formula);
  const at = steps.indexOf(table) + 1;
  state.now.textContent = `${at} of ${steps.length}: ${table.name} = ${table.formula}, ${table.meaning}`;
  const isAll = step === state.walk.tables.length - 1;
  explainNumber(state, isAll ? state.at : table.rows[0][0].name);
}

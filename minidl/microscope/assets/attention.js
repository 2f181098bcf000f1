"use strict";
// Which token attends where: the attention in one sentence, a picture for each head.

/** Choose block and head; nothing where the network has no attention. */
function showAttention(state, snapshot, attention) {
  if (!attention.length) {
    state.attention.replaceChildren();
    return;
  }
  state.block = Math.min(state.block, attention.length - 1);
  const seen = attention[state.block];
  state.head = Math.min(state.head, seen.heads - 1);
  const choose = (key) => (i) => {
    state[key] = i;
    showAttention(state, snapshot, attention);
  };
  const names = attention.map((one) => one.name);
  const heads = d3.range(seen.heads).map((i) => `${i + 1}`);
  const focused = document.activeElement?.closest(".attention select, .attention input");
  const at = focused && [...state.attention.querySelectorAll("select, input")].indexOf(focused);
  state.attention.replaceChildren(
    element("h3", {}, "Which token attends where"),
    element(
      "div",
      { class: "controls" },
      chooser("attention of", names, state.block, choose("block")),
      chooser("head", heads, state.head, choose("head")),
    ),
    headFigure(snapshot.tokens, seen, state.head, state.data.shares),
  );
  if (focused) state.attention.querySelectorAll("select, input")[at]?.focus();
}

/** One head: a row for each attending token, a column for each token attended to. */
function headFigure(tokens, seen, head, most) {
  const T = tokens.length;
  const P = seen.P.subarray(head * T * T, (head + 1) * T * T);
  const percent = (i) => `${number((100 * P[i]) / most)}%`;
  const layout = grid(T, T, T * T);
  const colour = (i) => d3.rgb(SIGNED(0.5 + P[i] / most / 2));
  const say = (i) =>
    `${tokens[Math.floor(i / T)]} attends to ${tokens[i % T]}: ${percent(i)}`;
  const title = `${seen.name}, head ${head + 1}`;
  const about = "A row is an attending token and sums to 100%; the darker, the more attention.";
  const rows = () =>
    tokens.map((token, i) => [token, ...tokens.map((_, j) => percent(i * T + j))]);
  const table = tableBehind(title, ["attends to", ...tokens], rows);
  const figure = pictureFigure(title, about, layout, colour, say, table);
  const side = (where) =>
    element(
      "div",
      { class: where, "aria-hidden": true },
      ...tokens.map((token) => element("span", {}, token)),
    );
  const box = figure.querySelector(".pixels");
  const labelled = element("div", { class: "attending" }, side("columns"), side("rows"));
  box.replaceWith(labelled);
  labelled.append(box);
  return figure;
}

// Source, mapping and output beside each other. Each pane is a textarea over a <pre> of the same text with its colours.
"use strict";

const panes = Object.fromEntries(["source", "mapping", "output"].map((name) => {
  const section = document.getElementById(name);
  const [pre, area, list, save] = ["pre", "textarea", "ul", "button"].map((tag) => section.querySelector(tag));
  return [name, { name, section, pre, area, list, save, lit: [], over: null }];
}));
const card = document.getElementById("card");
const state = document.getElementById("state");
const words = document.body.dataset;
let told = { output: "", fields: [], findings: [], meanings: { source: [], output: [], texts: [] } };
let asking = false;
let again = false;

// ---- the question

async function ask() {
  if (asking) { again = true; return; }
  asking = true;
  do {
    again = false;
    const question = { source: panes.source.area.value, mapping: panes.mapping.area.value };
    try {
      const answer = await fetch("work", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question),
      });
      if (!answer.ok) throw new Error(answer.status);
      const made = await answer.json();
      if (!again) show(made);
    } catch (fault) {
      state.textContent = `${words.lost} (${fault.message})`;
    }
  } while (again);
  asking = false;
}

function show(made) {
  const kept = made.made ? made : { ...made, output: told.output, fields: [], kind: made.kind };
  if (!made.made) kept.meanings.output = [];
  told = kept;
  panes.output.area.value = told.output;
  panes.output.section.classList.toggle("stale", !made.made);
  if (made.kind) panes.output.section.querySelector("span").textContent = panes.output.area.dataset.name = made.kind;
  light([]);
  for (const pane of Object.values(panes)) { list(pane); }
  const wrong = told.findings.length ? words.count.replace("#", told.findings.length) : words.none;
  state.textContent = made.made ? wrong : `${told.output ? words.stale : words.nothing} · ${wrong}`;
  document.body.dataset.ready = made.made ? "made" : "nothing";
}

function list(pane) {
  pane.list.replaceChildren(...told.findings.filter((one) => one.pane === pane.name).map((one) => {
    const row = document.createElement("li");
    row.className = `${one.severity}-row`;
    const place = document.createElement("code");
    place.textContent = `${one.where} ${one.code} `;
    const remedy = document.createElement("i");
    remedy.textContent = one.remedy;
    row.append(place, one.text, remedy);
    row.onclick = () => light(one.span ? [[pane.name, one.span]] : one.line ? [[pane.name, lineSpan(pane, one.line)]] : []);
    return row;
  }));
}

// ---- drawing

function draw(pane) {
  const text = pane.area.value;
  const marks = [...colours(pane, text)];
  for (const one of told.findings) {
    if (one.pane === pane.name && one.span) marks.push([...one.span, one.severity]);
  }
  if (pane.over) marks.push([pane.over[0], pane.over[1], "over"]);
  for (const span of pane.lit) marks.push([span[0], span[1], "lit"]);
  const begins = sorted(marks.map((mark) => mark[0]));
  const cuts = sorted(new Set([...begins, ...marks.map((mark) => mark[1])]));
  marks.sort((one, other) => one[0] - other[0]);
  const wrong = wrongLines(pane, text);
  const lines = document.createDocumentFragment();
  let at = 0, next = 0, cut = 0, open = [];
  text.split("\n").forEach((line, number) => {
    const row = document.createElement("div");
    if (wrong.has(number + 1)) row.className = wrong.get(number + 1);
    const end = at + line.length;
    while (at < end) {
      while (cut < cuts.length && cuts[cut] <= at) cut++;
      const stop = Math.min(end, cut < cuts.length ? cuts[cut] : end);
      while (next < marks.length && marks[next][0] <= at) open.push(marks[next++]);
      open = open.filter((mark) => mark[1] > at);
      const piece = document.createElement("span");
      piece.className = open.map((mark) => mark[2]).join(" ");
      piece.dataset.at = at;
      piece.textContent = text.slice(at, stop);
      row.append(piece);
      at = stop;
    }
    at = end + 1;
    lines.append(row);
  });
  pane.pre.replaceChildren(lines);
}

const sorted = (numbers) => [...numbers].sort((one, other) => one - other);

const GRAMMARS = { // a first group is passed over, then comes a comment or a key
  yaml: /(^|\s)(?<comment>#.*)|(^\s*(?:- )?)(?<key>[^\s:#][^:\n#]*)(?=:(?:\s|$))/gm,
  xml: /(?<comment><!--[^]*?-->)|(?<key><\/?[\w.:-]+|\/?>)/g,
  edifact: /(?<key>^[A-Z]{3}(?=\+))/gm,
};

function* colours(pane, text) {
  const kind = pane.name === "mapping" ? "yaml" : text.trimStart().startsWith("<") ? "xml" : "edifact";
  for (const found of text.matchAll(GRAMMARS[kind])) {
    const end = found.index + found[0].length;
    const { comment, key } = found.groups;
    yield [end - (comment || key).length, end, comment ? "comment" : "key"];
  }
}

function wrongLines(pane, text) {
  const found = new Map();
  for (const one of told.findings.filter((each) => each.pane === pane.name)) {
    const line = one.line || (one.span ? lineOf(text, one.span[0]) : 0);
    if (line && found.get(line) !== "error-line") found.set(line, `${one.severity}-line`);
  }
  return found;
}

const lineOf = (text, at) => text.slice(0, at).split("\n").length;

function lineSpan(pane, number) {
  const lines = pane.area.value.split("\n");
  const start = lines.slice(0, number - 1).reduce((sum, line) => sum + line.length + 1, 0);
  const line = lines[number - 1] || "";
  return [start + line.length - line.trimStart().length, start + line.length];
}

// ---- lighting up

function light(spans) {
  for (const pane of Object.values(panes)) {
    pane.lit = spans.filter(([name, span]) => name === pane.name && span).map(([, span]) => span);
    draw(pane);
    const first = pane.pre.querySelector(".lit");
    if (first) first.scrollIntoView({ block: "nearest" });
  }
}

function lightFields(fields) {
  light(fields.flatMap((one) => [
    ["output", one.out],
    ...one.sources.map((span) => ["source", span]),
    ...one.lines.map((number) => ["mapping", lineSpan(panes.mapping, number)]),
  ]));
}

function fieldsAt(pane, at) {
  const within = (span) => span && span[0] <= at && at <= span[1];
  if (pane.name === "output") return told.fields.filter((one) => within(one.out)).slice(0, 1);
  if (pane.name === "source") return told.fields.filter((one) => one.sources.some(within));
  const line = lineOf(pane.area.value, at);
  return told.fields.filter((one) => one.lines.includes(line));
}

// ---- what a place means

function placeAt(pane, event) {
  pane.area.style.pointerEvents = "none"; // so that what is asked is the text below
  const found = document.caretPositionFromPoint
    ? document.caretPositionFromPoint(event.clientX, event.clientY)
    : document.caretRangeFromPoint(event.clientX, event.clientY);
  const hit = document.elementFromPoint(event.clientX, event.clientY);
  pane.area.style.pointerEvents = "";
  if (!found || !hit || hit.dataset.at === undefined) return -1;
  const node = found.offsetNode || found.startContainer;
  const piece = node && (node.nodeType === Node.TEXT_NODE ? node.parentElement : node);
  if (!piece || piece.dataset.at === undefined) return -1;
  return Number(piece.dataset.at) + (found.offsetNode ? found.offset : found.startOffset);
}

function hover(pane, event) {
  const at = placeAt(pane, event);
  const meant = (told.meanings[pane.name] || []).find((one) => one[0] <= at && at < one[1]);
  const line = at < 0 ? 0 : lineOf(pane.area.value, at);
  const wrong = at < 0 ? [] : told.findings.filter((one) => one.pane === pane.name &&
    (one.line === line || (one.span && one.span[0] <= at && at <= Math.max(one.span[1], one.span[0] + 1))));
  const [field] = at < 0 ? [] : fieldsAt(pane, at);
  const used = field && pane.name === "output"
    ? [field.sources.map((one) => one[2]).join(", "), `${words.rule} ${field.lines.join(", ")}`, field.used.join(" · ")] : [];
  const said = [meant && told.meanings.texts[meant[2]], ...wrong.map((one) => `${one.code}: ${one.text}`), ...used];
  const span = meant ? [meant[0], meant[1]] : null;
  if (String(span) !== String(pane.over)) { pane.over = span; draw(pane); }
  tell(said.filter(Boolean).join("\n"), event);
}

function tell(said, event) {
  card.hidden = !said;
  card.textContent = said;
  card.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - card.offsetWidth - 10))}px`;
  const below = event.clientY + 18;
  card.style.top = `${below + card.offsetHeight > innerHeight ? event.clientY - card.offsetHeight - 12 : below}px`;
}

// ---- hands

function save(pane) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([pane.area.value]));
  link.download = (pane.area.dataset.name || pane.name).split("/").pop();
  link.click();
  URL.revokeObjectURL(link.href);
}

let soon = 0;
for (const pane of Object.values(panes)) {
  pane.area.addEventListener("input", () => {
    draw(pane);
    clearTimeout(soon);
    soon = setTimeout(ask, 120);
  });
  pane.area.addEventListener("click", () => lightFields(fieldsAt(pane, pane.area.selectionStart)));
  pane.area.addEventListener("mousemove", (event) => hover(pane, event));
  pane.area.addEventListener("mouseleave", () => { card.hidden = true; pane.over = null; draw(pane); });
  pane.save.addEventListener("click", () => save(pane));
  draw(pane);
}
ask();

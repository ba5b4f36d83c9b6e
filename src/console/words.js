
"use strict";
// The first part of the page's script: words, and how they are put into the document. The others, in this order: plots.js, troubles.js,
// and page.js, which begins.
// Whatever comes from the bridge is put in as text, never as markup: field names are the senders'.
const $ = (id) => document.getElementById(id);
const HOUR = 3600e3, LEAST = 600e3, SILENCE = 10e3, RETRY = 5e3;
let state = null, points = [], skew = 0, heard = 0, lastState = Date.now(), source = null, catalog = null, retry = 0;

// --- words
const whole = new Intl.NumberFormat("en");
const when = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const hours = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" });
const long = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" });
// Logs are in UTC, and whoever reads both must not guess.
const clock = (at) => (new Date(at).toDateString() === new Date(now()).toDateString() ? hours : long).format(at);
const number = (n) => whole.format(n);
const perSecond = (n) => (n >= 100 ? number(Math.round(n)) : number(+n.toFixed(n >= 10 ? 1 : 2))) + "/s";
const seconds = (s) => s == null ? "no answers" : s < 1 ? `${+(s * 1000).toPrecision(3)} ms` : `${+s.toPrecision(3)} s`;
const size = (n) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (n >= 1024 && at < units.length - 1) { n /= 1024; at += 1; }
  return `${+n.toPrecision(3)} ${units[at]}`;
};
const span = (ms) => {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor(minutes % 1440 / 60)} h`;
};
const part = (p) => `${p < 0.001 && p > 0 ? "under 0.1" : +(p * 100).toFixed(p < 0.1 ? 1 : 0)} %`;
const now = () => Date.now() + skew;

// --- the document: only what changed is touched, so that selection and focus stay
const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const show = (node, visible) => { if (node.hidden === visible) node.hidden = !visible; };
const make = (name, text) => {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  return node;
};
const badge = (node, text, good) => {
  put(node, text);
  node.className = good === null ? "badge" : good ? "badge good" : "badge bad";
};

// A command line, with a button where the browser lets a page copy.
function command(text) {
  const line = make("div"), code = make("code", text);
  line.className = "command";
  line.append(code);
  if (navigator.clipboard) {
    const button = make("button", "Copy");
    button.type = "button";
    button.setAttribute("aria-label", `Copy: ${text}`);
    button.addEventListener("click", async () => {
      try { await navigator.clipboard.writeText(text); put(button, "Copied"); } catch { put(button, "Select it"); }
      setTimeout(() => put(button, "Copy"), 2000);
    });
    line.append(button);
  }
  return line;
}

// What a cell or a card shows: a text, and below it a second line or a command line.
function fill(node, { text, sub, run }) {
  if (!sub && !run && !node.children.length) return put(node, text);
  const key = JSON.stringify([text, sub, run]);
  if (node.dataset.shown === key) return;
  node.dataset.shown = key;
  node.replaceChildren(text);
  if (sub) { const second = make("span", sub); second.className = "sub"; node.append(second); }
  if (run) node.append(command(run));
}

// Rows of a table by key; a cell is { text, sub, run, label, class, title }.
function rows(body, list) {
  const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
  list.forEach(({ key, cells }, at) => {
    let row = known.get(key);
    if (!row) {
      row = make("tr");
      row.dataset.key = key;
      cells.forEach((cell, i) => {
        const node = make(i === 0 ? "th" : "td");
        if (i === 0) node.scope = "row";
        if (cell.label) node.dataset.label = cell.label;
        row.append(node);
      });
    }
    known.delete(key);
    cells.forEach((cell, i) => {
      fill(row.children[i], cell);
      if (row.children[i].className !== (cell.class || "")) row.children[i].className = cell.class || "";
      if (row.children[i].title !== (cell.title || "")) row.children[i].title = cell.title || "";
    });
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] || null);
  });
  known.forEach((row) => row.remove());
}

function cards(list, entries) {
  const known = new Map([...list.children].map((card) => [card.dataset.key, card]));
  entries.forEach(({ key, text, sub, bad }, at) => {
    let card = known.get(key);
    if (!card) {
      card = make("div");
      card.dataset.key = key;
      card.append(make("dt", key), make("dd"));
    }
    known.delete(key);
    fill(card.lastChild, { text, sub });
    card.className = bad ? "bad" : "";
    if (list.children[at] !== card) list.insertBefore(card, list.children[at] || null);
  });
  known.forEach((card) => card.remove());
}


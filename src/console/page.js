
"use strict";
// Whatever comes from the bridge is put in as text, never as markup: field names are the senders'.
const $ = (id) => document.getElementById(id);
const HOUR = 3600e3, LEAST = 600e3, SILENCE = 10e3, RETRY = 5e3;
let state = null, points = [], skew = 0, heard = 0, source = null, catalogue = null, retry = 0;

// --- words
const whole = new Intl.NumberFormat("en");
const when = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
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
  if (s < 3600 - 30) return `${Math.round(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
};
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

// Rows of a table by key; a cell is { text, label, class, title }.
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
      put(row.children[i], cell.text);
      if (row.children[i].className !== (cell.class || "")) row.children[i].className = cell.class || "";
      if (row.children[i].title !== (cell.title || "")) row.children[i].title = cell.title || "";
    });
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] || null);
  });
  known.forEach((row) => row.remove());
}

function cards(list, entries) {
  const known = new Map([...list.children].map((card) => [card.dataset.key, card]));
  entries.forEach(({ key, text, bad }, at) => {
    let card = known.get(key);
    if (!card) {
      card = make("div");
      card.dataset.key = key;
      card.append(make("dt", key), make("dd"));
    }
    known.delete(key);
    put(card.lastChild, text);
    card.className = bad ? "bad" : "";
    if (list.children[at] !== card) list.insertBefore(card, list.children[at] || null);
  });
  known.forEach((card) => card.remove());
}

// --- health
function health() {
  const { kafka, registry, spool, schemas, ready, ending } = state.health;
  const taken = kafka.ok ? "ready" : "ready (spooling)";
  badge($("ready"), ending ? "shutting down" : ready ? taken : "not ready", ready && kafka.ok);
  put($("version"), state.version);
  const part = (key, of, more) => ({ key, bad: !of.ok, text: of.ok ? more : of.reason });
  const refused = schemas.refused.map((one) => `${one.subject}: ${one.reasons}`);
  cards($("parts"), [
    part("Kafka", kafka, kafka.note ?? "reachable, all topics exist"),
    part("Schema registry", registry, "available"),
    part("Spool", spool, spool.bytes ? `${size(spool.bytes)} waiting` : "empty"),
    {
      key: "Schema ids", bad: schemas.known < schemas.all,
      text: `${schemas.known} of ${schemas.all} known` + (refused.length ? `, ${refused.length} refused: ${refused.join("; ")}` : ""),
    },
  ]);
}

// --- plots
const plots = [
  { name: "Published", first: (p) => p.published, unit: perSecond },
  { name: "Answer time, median", first: (p) => p.p50, second: (p) => p.p99, other: "99 % (dashed)", unit: seconds },
  { name: "Spooled", first: (p) => p.spooled, unit: perSecond },
  { name: "Waiting in the spool", first: (p) => p.waiting, unit: (n) => `${number(n)} deliveries` },
  { name: "Dead letters", first: (p) => p.dead_lettered, unit: perSecond },
  { name: "Refused", first: (p) => p.refused, unit: perSecond },
];
for (const plot of plots) {
  plot.node = $("plot").content.firstElementChild.cloneNode(true);
  plot.node.querySelector("b").textContent = plot.name;
  $("plots").append(plot.node);
}

// What the plots cover: the hour, or what there is of it.
const reach = () => Math.min(HOUR, Math.max(LEAST, points.length ? now() - points[0].at : 0));

function line(value, top, floor) {
  const end = now(), width = reach();
  let path = "", run = [];
  const close = () => {
    if (run.length === 1) run.unshift([run[0][0] - 4, run[0][1]]);
    if (run.length) {
      path += "M" + run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
      if (floor) path += `L${run[run.length - 1][0].toFixed(1)} 63L${run[0][0].toFixed(1)} 63Z`;
    }
    run = [];
  };
  for (const point of points) {
    const y = value(point), x = 360 - (end - point.at) / width * 360;
    if (y == null || x < 0) close(); else run.push([Math.min(x, 360), 62 - (top ? y / top * 58 : 0)]);
  }
  close();
  return path;
}

function draw() {
  for (const { node, name, first, second, other, unit } of plots) {
    const values = (of) => points.map(of).filter((v) => v != null);
    const most = values(first).concat(second ? values(second) : []).reduce((a, b) => Math.max(a, b), 0);
    const last = points[points.length - 1];
    let text = last ? unit(first(last)) : "first point in 10 s";
    if (last && second && second(last) != null) text += `, ${other} ${unit(second(last))}`;
    const peak = last && most ? `highest ${unit(most)}` : "";
    put(node.querySelector(".now"), text);
    put(node.querySelector(".most"), peak);
    put(node.querySelector(".from"), `${span(reach())} ago`);
    const [area, two, one] = node.querySelectorAll("path");
    one.setAttribute("d", line(first, most));
    area.setAttribute("d", line(first, most, true));
    if (second) two.setAttribute("d", line(second, most));
    node.querySelector("svg").setAttribute("aria-label", `${name}: ${text}${peak && ", "}${peak}`);
  }
}

// --- tables
function fits(...texts) {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = texts.join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}

function types() {
  const list = [];
  let all = 0;
  const several = state.sources.length > 1;
  for (const source of state.sources) {
    for (const type of source.types) {
      all += 1;
      const targets = [type.main, ...type.joins, type.latest].filter(Boolean);
      const topics = targets.map((t) => t.topic).join("\n") || state.dead_letters_topic;
      const known = (t) => t.refused ? "refused" : t.id == null ? "id not known" : `id\u00a0${t.id}`;
      const subjects = targets.map((t) => `${t.subject} ·\u00a0${known(t)}`).join("\n");
      if (!fits(source.name, type.type, topics, subjects)) continue;
      if ($("seen").checked && type.last_seen == null) continue;
      const seen = type.last_seen;
      list.push({
        key: `${source.name} ${type.type}`,
        cells: [
          { text: several ? `${source.name} · ${type.type}` : type.type },
          { text: topics, label: "Topic", class: "code" },
          { text: subjects, label: "Subject", class: targets.some((t) => t.refused) ? "code bad-text" : "code" },
          { text: number(type.accepted), label: "Accepted", class: "n" },
          { text: number(type.published), label: "Published", class: "n" },
          { text: number(type.dead_lettered), label: "Dead letters", class: type.dead_lettered ? "n bad-text" : "n" },
          {
            text: seen == null ? "not yet" : `${span(now() - seen)} ago`, label: "Last seen", class: "last",
            title: seen == null ? "" : when.format(seen),
          },
        ],
      });
    }
  }
  rows($("type-rows"), list);
  show($("types-none"), !list.length);
  put($("shown"), `${list.length} of ${all} types`);
}

function others() {
  const first = ["published", "spooled", "dead_lettered"];
  const rank = ([code]) => (first.indexOf(code) + 4) % 4;
  const asked = Object.entries(state.answers).filter(([, count]) => count).sort((a, b) => rank(a) - rank(b));
  cards($("answers"), asked.map(([key, count]) => ({ key, text: number(count) })));
  show($("answers-none"), !asked.length);

  const { lanes, dead_letters: dead, drift } = state;
  const records = lanes.reduce((sum, lane) => sum + lane.records, 0);
  put($("spool-sum"), records
    ? `${number(records)} deliveries waiting, ${size(lanes.reduce((sum, lane) => sum + lane.bytes, 0))}.`
    : "Empty: every event goes directly to Kafka.");
  $("spool-sum").className = records ? "" : "none";
  show($("spool-table"), records > 0);
  rows($("spool-rows"), lanes.map((lane) => ({ key: lane.lane, cells: [
    { text: lane.lane, class: "code" },
    { text: number(lane.records), label: "Deliveries", class: "n" },
    { text: size(lane.bytes), label: "Size", class: "n" },
  ] })));

  show($("dead-none"), !dead.length);
  show($("dead-table"), dead.length > 0);
  put($("dead-topic"), state.dead_letters_topic);
  rows($("dead-rows"), dead.map((one) => ({ key: `${one.source} ${one.reason}`, cells: [
    { text: one.source },
    { text: one.reason, label: "Reason", class: "code" },
    { text: number(one.count), label: "Written", class: "n" },
  ] })));

  show($("drift-none"), !drift.length);
  show($("drift-table"), drift.length > 0);
  rows($("drift-rows"), drift.map((one) => ({ key: JSON.stringify([one.source, one.type, one.field]), cells: [
    { text: one.source },
    { text: one.type, label: "Type" },
    { text: one.field, label: "Field", class: "code" },
    { text: number(one.count), label: "Seen", class: "n" },
  ] })));
}

function render() {
  if (!state) return;
  put($("uptime"), `up ${span(now() - state.started_at)}`);
  $("uptime").title = `since ${when.format(state.started_at)}`;
  health(); types(); others();
}

// --- the catalogue: a table is made when it is opened for the first time
function fields(name, caption) {
  const part = $("fields").content.firstElementChild.cloneNode(true);
  part.querySelector("caption").textContent = caption;
  rows(part.querySelector("tbody"), catalogue.types[name].fields.map((field) => ({ key: field.name, cells: [
    { text: field.name },
    { text: field.type + (field.nullable ? "?" : ""), label: "Type", class: "code" },
    { text: field.doc + (field.json === field.name ? "" : ` Sent as ${field.json}.`), label: "Meaning" },
  ] })));
  return part;
}

function entry(list, title, doc, search, fill) {
  const details = make("details"), summary = make("summary", title);
  summary.append(" ", make("span", doc || ""));
  details.append(summary);
  details.dataset.search = search;
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(...fill());
  });
  list.append(details);
}

function listCatalogue() {
  const heads = new Set();
  for (const event of catalogue.events) {
    heads.add(event.record);
    if (event.latest) heads.add(event.latest.record);
    const links = event.joins.map((join) => `also in ${join.topic}, keyed by ${join.keys.join(", ")}`);
    entry($("events"), `${event.source} · ${event.type}`, event.doc, `${event.source} ${event.type} ${event.topic} ${event.record}`, () => {
      const about = make("p", `Topic ${event.topic}, key ${event.key}` + links.map((link) => `; ${link}`).join("") + ".");
      const all = [about, fields(event.record, `Record ${event.record}`)];
      if (event.latest) {
        all.push(make("p", `The last state goes to ${event.latest.topic}; readers keep the state with the greater ${event.latest.updated}.`));
        all.push(fields(event.latest.record, `Record ${event.latest.record}`));
      }
      return all;
    });
  }
  for (const [name, type] of Object.entries(catalogue.types)) {
    if (!heads.has(name)) entry($("records"), name, type.doc, name, () => [fields(name, `Record ${name}`)]);
  }
  show($("records-title"), true);
  filterCatalogue();
}

function filterCatalogue() {
  let shown = 0;
  for (const details of document.querySelectorAll("#events > details, #records > details")) {
    const fit = fits(details.dataset.search);
    show(details, fit);
    shown += fit;
  }
  if (catalogue) {
    put($("catalogue-state"), "No match.");
    show($("catalogue-state"), !shown);
  }
}

async function fetchCatalogue() {
  try {
    const answer = await fetch("console/catalog.json");
    if (!answer.ok) throw new Error(String(answer.status));
    catalogue = await answer.json();
    listCatalogue();
  } catch {
    put($("catalogue-state"), "Cannot load the catalogue; trying again.");
    setTimeout(fetchCatalogue, RETRY);
  }
}

// --- the stream
function lost() {
  badge($("live"), "connection lost, trying again", false);
  badge($("ready"), "unknown", null);
}

function listen() {
  clearTimeout(retry);
  if (source) source.close();
  heard = Date.now();
  source = new EventSource("console/events");
  source.addEventListener("state", (event) => {
    state = JSON.parse(event.data);
    heard = Date.now();
    skew = state.now - heard;
    badge($("live"), "live", true);
    render();
  });
  source.addEventListener("history", (event) => {
    points = JSON.parse(event.data).points;
    draw();
  });
  source.onerror = () => {
    lost();
    // The browser tries again by itself, but not after an answer that is no stream.
    if (source.readyState === EventSource.CLOSED) retry = setTimeout(listen, RETRY);
  };
}

// A connection can die without a word.
setInterval(() => { if (Date.now() - heard > SILENCE) { lost(); listen(); } }, SILENCE);
$("filter").addEventListener("input", () => { if (state) types(); filterCatalogue(); });
$("seen").addEventListener("change", () => { if (state) types(); });
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches && event.target.matches("input:not([type=checkbox]), textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    $("filter").focus();
  } else if (event.key === "Escape" && event.target === $("filter")) {
    $("filter").value = "";
    $("filter").dispatchEvent(new Event("input"));
  }
});
listen();
fetchCatalogue();
draw();

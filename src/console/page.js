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
  put($("answers-none"), "No requests yet.");
  show($("answers-none"), !asked.length);

  const { drift } = state;
  put($("drift-none"), "No unknown fields seen.");
  show($("drift-none"), !drift.length);
  show($("drift-table"), drift.length > 0);
  rows($("drift-rows"), drift.map((one) => ({ key: JSON.stringify([one.source, one.type, one.field]), cells: [
    { text: one.source },
    { text: one.type, label: "Type", class: "name" },
    { text: one.field, label: "Field", class: "code" },
    { text: number(one.count), label: "Seen", class: "n" },
  ] })));
}

function render() {
  if (!state) return;
  put($("uptime"), `up ${span(now() - state.started_at)}`);
  $("uptime").title = `since ${when.format(state.started_at)}`;
  verdict(); troubles(); health(); spool(); deadLetters(); refusals(); types(); others();
}

// --- the catalog: a table is made when it is opened for the first time
function fields(name, caption) {
  const part = $("fields").content.firstElementChild.cloneNode(true);
  part.querySelector("caption").textContent = caption;
  rows(part.querySelector("tbody"), catalog.types[name].fields.map((field) => ({ key: field.name, cells: [
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

function listCatalog() {
  const heads = new Set();
  for (const event of catalog.events) {
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
  for (const [name, type] of Object.entries(catalog.types)) {
    if (!heads.has(name)) entry($("records"), name, type.doc, name, () => [fields(name, `Record ${name}`)]);
  }
  show($("records-title"), true);
  filterCatalog();
}

function filterCatalog() {
  let shown = 0;
  for (const details of document.querySelectorAll("#events > details, #records > details")) {
    const fit = fits(details.dataset.search);
    show(details, fit);
    shown += fit;
  }
  if (catalog) {
    put($("catalog-state"), "No match.");
    show($("catalog-state"), !shown);
  }
}

async function fetchCatalog() {
  try {
    const answer = await fetch("console/catalog.json");
    if (!answer.ok) throw new Error(String(answer.status));
    catalog = await answer.json();
    listCatalog();
  } catch {
    put($("catalog-state"), "Cannot load the catalog; trying again.");
    setTimeout(fetchCatalog, RETRY);
  }
}

// --- the stream
function listen() {
  clearTimeout(retry);
  if (source) source.close();
  heard = Date.now();
  source = new EventSource("console/events");
  source.addEventListener("state", (event) => {
    state = JSON.parse(event.data);
    heard = lastState = Date.now();
    skew = state.now - heard;
    found();
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

// How long ago goes on while nothing is heard.
setInterval(() => { if (document.body.classList.contains("lost")) lost(); }, 1000);
// A connection can die without a word.
setInterval(() => { if (Date.now() - heard > SILENCE) { lost(); listen(); } }, SILENCE);
$("filter").addEventListener("input", () => { if (state) types(); filterCatalog(); });
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
fetchCatalog();
draw();

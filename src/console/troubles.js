// --- what is wrong: the verdict, each trouble, and where it shows
const since = (at) => `since ${clock(at)} (${span(now() - at)})`;

function verdict() {
  const { verdict: { level, text, effect, since: from }, instance, health: { kafka, ready, ending } } = state;
  $("verdict").className = `verdict ${level}`;
  put($("level"), level === "ok" ? "OK" : level);
  put($("verdict-text"), text);
  put($("verdict-since"), from == null ? "" : since(from));
  put($("effect"), effect);
  badge($("ready"), ending ? "shutting down" : ready ? (kafka.ok ? "ready" : "ready (spooling)") : "not ready", ready && kafka.ok);
  put($("version"), `version ${state.version}`);
  put($("instance"), `on ${instance},`);
  document.title = `${level === "ok" ? "" : `${level.toUpperCase()}: `}${text} · hookbridge on ${instance}`;
}

function troubles() {
  const list = $("trouble-list"), known = new Map([...list.children].map((item) => [item.dataset.key, item]));
  state.troubles.forEach((trouble, at) => {
    let item = known.get(trouble.code);
    if (!item) {
      item = $("trouble").content.firstElementChild.cloneNode(true);
      item.dataset.key = trouble.code;
    }
    known.delete(trouble.code);
    const say = (name, text) => put(item.querySelector(`.${name}`), text);
    item.className = trouble.severity;
    say("severity", trouble.severity);
    say("title", trouble.title);
    say("since", since(trouble.since) + (trouble.last == null ? "" : `, last ${clock(trouble.last)} (${span(now() - trouble.last)} ago)`));
    say("server", `at ${trouble.server}`);
    say("detail", trouble.detail);
    say("todo", trouble.todo);
    say("runbook", `Runbook: docs/operations.md#${trouble.runbook.toLowerCase().replaceAll(" ", "-")}`);
    const commands = item.querySelector(".commands");
    if (commands.dataset.shown !== trouble.commands.join("\n")) {
      commands.dataset.shown = trouble.commands.join("\n");
      commands.replaceChildren(...trouble.commands.map(command));
    }
    if (list.children[at] !== item) list.insertBefore(item, list.children[at] || null);
  });
  known.forEach((item) => item.remove());
  put($("troubles-none"), "None is known. Dead letters and refusals count for 15 minutes after the last one.");
  show($("troubles-none"), !state.troubles.length);
  show($("container-hint"), state.troubles.length > 0);
}

function health() {
  const { health: { kafka, registry, spool, schemas }, servers } = state;
  const card = (key, of, more, sub) => ({ key, bad: !of.ok, text: of.ok ? more : of.reason, sub });
  const refused = schemas.refused.map((one) => `${one.subject}: ${one.reasons}`);
  cards($("parts"), [
    card("Kafka", kafka, kafka.note ?? "reachable, all topics exist", servers.kafka),
    card("Schema registry", registry, "available", servers.registry),
    card("Spool", spool, spool.bytes ? `${size(spool.bytes)} waiting` : "empty", servers.data_dir),
    {
      key: "Schema ids", bad: schemas.known < schemas.all,
      text: `${schemas.known} of ${schemas.all} known` + (refused.length ? `, ${refused.length} refused: ${refused.join("; ")}` : ""),
    },
  ]);
}

// How long senders wait for their answer, and how long they go on after a 503.
function senderCards() {
  const { ack_timeout: longest, p50, p99, patience } = state.senders;
  const measured = p50 == null ? "no answer in the last minute" : `${seconds(p50)} (median), ${seconds(p99)} (99 %)`;
  const list = [{ key: "Senders wait for an answer", text: measured, sub: `at most about ${seconds(longest)} before a 202` }];
  for (const { source, whole, left, refused } of patience) {
    const text = refused ? (left ? `may stop trying in ${span(left * 1000)}` : "may have stopped trying") : `${span(whole * 1000)} after the first 503`;
    list.push({ key: `Patience of ${source}`, bad: refused, text, sub: refused ? "refused, and nothing accepted since" : "nothing is refused now" });
  }
  return list;
}

function spool() {
  const { spool: sum, lanes } = state;
  put($("spool-sum"), sum.records
    ? `${number(sum.records)} ${sum.records === 1 ? "delivery" : "deliveries"} waiting, ${size(sum.bytes)}.`
    : "Empty: every event goes directly to Kafka.");
  $("spool-sum").className = sum.records ? "" : "none";
  const speed = sum.growth > 0 ? `grows by ${size(sum.growth)}/s` : sum.growth < 0 ? `shrinks by ${size(-sum.growth)}/s` : "does not grow";
  const full = sum.room_bytes === 0 ? "no room is left" : sum.full_in == null ? `room for ${size(sum.room_bytes)} more` : `full in ${span(sum.full_in * 1000)} at this rate`;
  cards($("spool-parts"), [
    { key: "Share of its limit", bad: sum.share > 0.8, text: part(sum.share), sub: `of ${size(sum.limit_bytes)} (spool.max_bytes); ${full}` },
    { key: "Oldest", text: sum.oldest_at == null ? "nothing waits" : `${span(now() - sum.oldest_at)} old`, sub: sum.oldest_at == null ? "" : `received ${clock(sum.oldest_at)}; ${speed}` },
    ...senderCards(),
  ]);
  show($("spool-table"), sum.records > 0);
  rows($("spool-rows"), lanes.map((lane) => ({ key: lane.lane, cells: [
    { text: lane.lane, class: "code" },
    { text: number(lane.records), label: "Deliveries", class: "n" },
    { text: `${size(lane.bytes)}, ${part(lane.share)}`, label: "Size, of limit", class: "n" },
    { text: lane.oldest_at == null ? "not known" : span(now() - lane.oldest_at), label: "Oldest", class: "n" },
    { text: lane.reason, label: "Why it waits", class: "long" },
  ] })));
}

function deadLetters() {
  const { dead_letters: counts, newest_dead_letters: newest } = state;
  const some = counts.length + newest.length > 0;
  put($("dead-none"), "None since the start.");
  show($("dead-none"), !some);
  show($("dead-some"), some);
  put($("dead-topic"), state.dead_letters_topic);
  put($("dead-list"), state.dead_letters_list);
  cards($("dead-counts"), counts.map((one) => ({ key: `${one.source} ${one.reason}`, text: number(one.count) })));
  show($("dead-table"), newest.length > 0);
  rows($("dead-rows"), newest.map((one) => ({ key: one.id, cells: [
    { text: one.id, class: "code" },
    { text: clock(one.received_at), sub: `${span(now() - one.received_at)} ago`, label: "Received", class: "last" },
    { text: one.source, sub: one.type ?? "type unknown", label: "Source, type", class: "name" },
    { text: one.reason + (one.in_spool ? " (in the spool)" : ""), sub: one.error, run: one.replay, label: "Reason, replay", class: "long" },
  ] })));
}

function refusals() {
  const { newest_refusals: list } = state;
  put($("refused-none"), "No request was refused since the start.");
  show($("refused-none"), !list.length);
  show($("refused-table"), list.length > 0);
  rows($("refused-rows"), list.map((one) => ({ key: one.source, cells: [
    { text: one.source === "(none)" ? "no configured source" : one.source },
    { text: clock(one.at), sub: `${span(now() - one.at)} ago`, label: "Newest", class: "last" },
    { text: String(one.status), label: "Status", class: "n" },
    { text: one.reason, sub: one.advice, label: "Reason" },
    { text: one.counts.map(({ reason, count }) => `${reason} ${number(count)}`).join(", "), label: "Since the start" },
  ] })));
}

// --- the connection: what was heard last stays, greyed
function lost() {
  badge($("live"), "connection lost, trying again", false);
  badge($("ready"), "unknown", null);
  document.body.classList.add("lost");
  put($("level"), "unknown");
  put($("verdict-text"), state ? `Last known: ${state.verdict.text}` : "");
  put($("verdict-since"), "");
  put($("effect"), "");
  const figures = state ? " What you see is as of then, not of now." : "";
  put($("lost"), `${state ? "Connection lost" : "No connection"} ${since(lastState + skew)}.${figures} Is the process running? Try: curl -s ${location.origin}/livez`);
  show($("lost"), true);
  document.title = `No connection · hookbridge${state ? ` on ${state.instance}` : ""}`;
}

function found() {
  badge($("live"), "live", true);
  document.body.classList.remove("lost");
  show($("lost"), false);
}

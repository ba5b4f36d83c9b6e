// --- plots: each with its scale, and what it was at the moment that is pointed at
const plots = [
  { name: "Published", first: (p) => p.published, unit: perSecond },
  { name: "Answer time, median", first: (p) => p.p50, second: (p) => p.p99, other: "99 % (dashed)", unit: seconds },
  { name: "Spooled", first: (p) => p.spooled, unit: perSecond },
  { name: "Waiting in the spool", first: (p) => p.waiting, unit: (n) => `${number(n)} deliveries`, short: number },
  { name: "Dead letters", first: (p) => p.dead_lettered, unit: perSecond },
  { name: "Refused", first: (p) => p.refused, unit: perSecond },
];
for (const plot of plots) {
  plot.node = $("plot").content.firstElementChild.cloneNode(true);
  plot.part = (selector) => plot.node.querySelector(selector);
  plot.part("b").textContent = plot.name;
  plot.at = null;
  const svg = plot.part("svg");
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    point(plot, nearest((event.clientX - box.left) / box.width));
  });
  svg.addEventListener("pointerleave", () => point(plot, null));
  svg.addEventListener("blur", () => { plot.part(".readout").removeAttribute("role"); point(plot, null); });
  svg.addEventListener("keydown", (event) => walk(plot, event));
  $("plots").append(plot.node);
}

// What the plots cover: the hour, or what there is of it.
const reach = () => Math.min(HOUR, Math.max(LEAST, points.length ? now() - points[0].at : 0));
const across = (at) => 360 - (now() - at) / reach() * 360;
// Up the plot: the top of the scale is at 2, nothing at 79.
const up = (value, top) => 79 - (top ? value / top * 77 : 0);

// The number from which a scale is easily read.
function round(most) {
  if (!most) return 0;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= most * 0.999);
}

function nearest(part) {
  const at = now() - (1 - part) * reach();
  return points.reduce((best, p) => (!best || Math.abs(p.at - at) < Math.abs(best.at - at) ? p : best), null);
}

// Shows what it was at the point `p`.
function point(plot, p) {
  plot.at = p && p.at;
  plot.part(".cursor").setAttribute("d", p ? `M${Math.max(0, across(p.at)).toFixed(1)} 0V80` : "");
  const { first, second, other, unit } = plot;
  const more = p && second && second(p) != null ? `, ${other} ${unit(second(p))}` : "";
  put(plot.part(".readout"), p ? `${clock(p.at)}: ${unit(first(p))}${more}` : "");
}

function walk(plot, event) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -points.length, End: points.length };
  if (event.key === "Escape") point(plot, null);
  if (!(event.key in steps) || !points.length) return;
  event.preventDefault();
  // Read out only to who asks by the keyboard.
  plot.part(".readout").setAttribute("role", "status");
  const from = plot.at == null ? points.length : points.findIndex((p) => p.at === plot.at);
  const to = Math.min(points.length - 1, Math.max(0, from + steps[event.key]));
  point(plot, points[to]);
}

function line(value, top, floor) {
  let path = "", run = [];
  const close = () => {
    if (run.length === 1) run.unshift([run[0][0] - 4, run[0][1]]);
    if (run.length) {
      path += "M" + run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
      if (floor) path += `L${run[run.length - 1][0].toFixed(1)} 80L${run[0][0].toFixed(1)} 80Z`;
    }
    run = [];
  };
  for (const p of points) {
    const y = value(p), x = across(p.at);
    if (y == null || x < 0) close(); else run.push([Math.min(x, 360), up(y, top)]);
  }
  close();
  return path;
}

function draw() {
  for (const plot of plots) {
    const { name, first, second, other, unit } = plot, short = plot.short || unit;
    const values = (of) => points.map(of).filter((v) => v != null);
    const most = values(first).concat(second ? values(second) : []).reduce((a, b) => Math.max(a, b), 0);
    const top = round(most), last = points[points.length - 1];
    let text = last ? unit(first(last)) : "first point in 10 s";
    if (last && second && second(last) != null) text += `, ${other} ${unit(second(last))}`;
    const peak = last && most ? `highest ${unit(most)}` : "";
    put(plot.part(".now"), text);
    put(plot.part(".most"), peak);
    put(plot.part(".from"), `${span(reach())} ago`);
    put(plot.part(".middle"), span(reach() / 2));
    const [high, half] = plot.node.querySelectorAll(".scale span");
    put(high, top ? short(top) : "");
    put(half, top ? short(top / 2) : "");
    plot.part(".first").setAttribute("d", line(first, top));
    plot.part(".area").setAttribute("d", line(first, top, true));
    if (second) plot.part(".second").setAttribute("d", line(second, top));
    plot.part("svg").setAttribute("aria-label",
      `${name}, ${span(reach())}: ${text}${peak && ", "}${peak}. Left and right arrow keys read single points.`);
    if (plot.at != null) point(plot, points.find((p) => p.at === plot.at) || null);
  }
}


"use strict";
// The page of the box. What comes from outside (names, events, lines) only ever becomes text nodes.
const $ = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const SECONDS = 120;
let apps = [], removed = [], budget = {}, frontier = {points: []}, schedule = {}, events = [], packages = [];
let rowsWait = false, version = null, pictureEvery = 0.5, sliding = false, lastStatus = 0;
const strips = new Map(), shownPictures = new Map();

function make(kind, text, attributes = {}, ...children) {
  const one = document.createElement(kind);
  if (text !== null) one.textContent = text;
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) one.addEventListener(key.slice(2), value);
    else if (value !== null) one.setAttribute(key, value);
  }
  one.append(...children);
  return one;
}

function draw(kind, attributes, text = null) {
  const one = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  if (text !== null) one.textContent = text;
  return one;
}

const number = (value, digits = 3) => value === null || value === undefined ? "–" : String(+value.toPrecision(digits));
const clock = seconds => new Date(1000 * seconds).toLocaleTimeString();

function say(text, bad = false) {
  $("said").textContent = text;
  $("said").className = bad ? "bad" : "";
}

function headers(more = {}) {
  const token = sessionStorage.getItem("token");
  return token ? {...more, Authorization: `Bearer ${token}`} : more;
}

async function read(path) {
  const answer = await fetch(path, {headers: headers()});
  if (answer.status === 401) $("token").focus();
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

async function change(method, path, body) {
  const how = {method, headers: headers({"Content-Type": "application/json"})};
  if (body !== undefined) how.body = JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(path, how);
  } catch (error) {
    say("the box does not answer", true);
    return false;
  }
  const told = await answer.json();
  if (answer.status === 401) $("token").focus();
  if (answer.ok) say(`${told.apps} apps, predicted ${named(told.metric)} ${told.objective.toFixed(3)}`);
  else say(told.error, true);
  await reload();
  return answer.ok;
}

const named = metric => metric === "f1" ? "F1" : metric || "F1";
const unit = () => budget.unit ? ` ${budget.unit}/s` : "";
const path = app => `/api/apps/${encodeURIComponent(app.app_id)}`;

async function reload() {
  try {
    const paths = ["apps", "budget", "schedule", "frontier", "events", "packages", "health"];
    const found = await Promise.all(paths.map(async one => (await read(`/api/${one}`)).json()));
    ({apps, removed} = found[0]);
    [budget, schedule, frontier, events, packages] = [found[1], found[2], found[3], found[4].events, found[5].packages];
    for (const app of apps) if (app.now) strips.set(String(app.app_id), app.now.strip);
    showCameras(found[6].streams ? Object.keys(found[6].streams) : [null]);
    showTroubles(found[6]);
    $("log").replaceChildren();
    found[6].said.forEach(showLine);
  } catch (error) {
    say(error.message, true);
  }
  showApps();
  showBudget();
  showStems();
  showEvents();
  showNow();
}

const of = name => name === undefined || name === null ? [] : [make("span", `${name} `, {class: "of"})];
// ---- apps

function showApps() {
  rowsWait = $("rows").contains(document.activeElement) && document.activeElement.matches("input");
  if (rowsWait) return; // do not lose what somebody is typing
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : null;
  $("metric").textContent = named(frontier.metric);
  $("least").textContent = `least ${named(frontier.metric)}`;
  $("rows").replaceChildren(...apps.map(row));
  $("removed").replaceChildren(...removed.flatMap(id => [
    document.createTextNode(`${id} is removed `),
    make("button", "bring back", {onclick: () => change("PATCH", path({app_id: id}), {removed: false})}),
  ]));
  $("package").replaceChildren(...packages.map(name => make("option", name, {value: name})));
  $("add").hidden = packages.length === 0;
  const again = focused && document.querySelector(`[data-key="${CSS.escape(focused)}"]`);
  if (again) again.focus();
}

function row(app) {
  const id = String(app.app_id);
  const name = make("td", null, {}, ...of(app.stream), make("span", app.name, {class: "name"}));
  const note = make("div", null, {class: "note", "data-note": id});
  name.append(note);
  const wish = (key, label, least) => {
    const input = make("input", null, {
      type: "number", step: "any", min: 0, "aria-label": `${label} of ${app.name}`, "data-key": `${key} ${id}`,
      placeholder: least ? "none" : "1", onchange: event => {
        const text = event.target.value.trim();
        change("PATCH", path(app), {[key]: text === "" ? null : Number(text)});
      }});
    input.value = app[key] ?? "";
    return input;
  };
  const pause = make("button", app.paused ? "resume" : "pause", {
    "data-key": `pause ${id}`, "aria-label": `${app.paused ? "resume" : "pause"} ${app.name}`,
    onclick: () => change("PATCH", path(app), {paused: !app.paused})});
  const remove = make("button", "remove", {
    "data-key": `remove ${id}`, "aria-label": `remove ${app.name}`, onclick: () => change("DELETE", path(app))});
  const strip = draw("svg", {class: "strip", viewBox: `0 0 ${SECONDS} 28`, preserveAspectRatio: "none",
    "data-strip": id, role: "img"});
  const made = make("tr", null, {"data-app": id, class: app.paused ? "paused" : ""},
    name,
    make("td", null, {"data-fps": id, "data-label": "fps"}),
    make("td", null, {"data-label": named(frontier.metric)}, document.createTextNode(value(app)),
      make("div", measured(app), {class: "note", "data-measured": id})),
    make("td", null, {class: "wide"}, strip),
    make("td", lastEvent(app), {"data-event": id, class: "wide", "data-label": "last event"}),
    make("td", null, {"data-label": "weight"}, wish("weight", "weight", false)),
    make("td", null, {"data-label": `least ${named(frontier.metric)}`}, wish("min_value", "least value", true)),
    make("td", null, {"data-label": "least fps"}, wish("min_fps", "least fps", true)),
    make("td", null, {class: "wide"}, pause, document.createTextNode(" "), remove));
  queueMicrotask(() => showRate(app));
  return made;
}

function value(app) {
  if (app.value === null) return "–";
  const interval = app.f1_interval ? ` (${app.f1_interval.map(one => one.toFixed(2)).join("–")})` : "";
  return app.value.toFixed(3) + interval;
}

function measured(app) {
  if (!app.measured) return "";
  const {f1, f1_interval: interval, events} = app.measured;
  return `measured F1 ${f1.toFixed(3)} (${interval.map(one => one.toFixed(2)).join("–")}), ${events} events`;
}

function lastEvent(app) {
  const event = app.event;
  if (!event) return "";
  return event.end === null ? "going on" : `${clock(event.start)}, ${number(event.end - event.start, 2)} s`;
}

function showRate(app) {
  const id = String(app.app_id);
  const cell = document.querySelector(`[data-fps="${CSS.escape(id)}"]`);
  const note = document.querySelector(`[data-note="${CSS.escape(id)}"]`);
  if (!cell) return;
  const paused = app.paused ? "paused" : app.target_fps === null ? "left out" : "";
  cell.textContent = paused || `${number(app.observed_fps)} of ${number(app.target_fps)}`;
  note.textContent = app.failure ? `${app.stopped ? "stopped: " : ""}${app.failure}` : app.added ? "added here" : "";
  note.className = app.failure ? "note bad" : "note";
  document.querySelector(`[data-measured="${CSS.escape(id)}"]`).textContent = measured(app);
  showStrip(id, app.name);
}

function showStrip(id, name) {
  const svg = document.querySelector(`[data-strip="${CSS.escape(id)}"]`);
  if (!svg) return;
  const scores = strips.get(id) || [];
  const known = scores.filter(one => one !== null);
  svg.setAttribute("aria-label", known.length ? `score of ${name}, ${number(known.at(-1), 2)} now` : "no score yet");
  const start = SECONDS - scores.length;
  svg.replaceChildren(draw("rect", {x: 0, y: 27, width: SECONDS, height: 1, class: "empty"}),
    ...scores.flatMap((score, i) => score === null ? [] :
      [draw("rect", {x: start + i, y: 27 - 26 * Math.min(1, Math.max(0, score)), width: 1.05,
        height: Math.max(1, 26 * Math.min(1, Math.max(0, score))), class: "blue"})]));
}

// ---- budget

function showBudget() {
  const points = frontier.points, slider = $("budget");
  const most = Math.max(budget.budget || 0, budget.capacity || 0, budget.measured || 0, budget.cost || 0);
  const top = most || 1, x = at => 400 * at / top;
  $("bar").replaceChildren(draw("rect", {x: 0, y: 6, width: 400, height: 20, class: "empty"}),
    draw("rect", {x: 0, y: 6, width: x(Math.min(budget.cost || 0, top)), height: 20, class: "blue-soft"}),
    draw("rect", {x: 0, y: 10, width: x(Math.min(budget.measured || 0, top)), height: 12,
      class: (budget.measured || 0) > 1.1 * (budget.budget || Infinity) ? "red" : "blue"}),
    draw("line", {x1: x(budget.budget || 0), x2: x(budget.budget || 0), y1: 0, y2: 34, class: "mark"}));
  const measured = budget.measured === null ? "not measured yet" : `measured ${number(budget.measured)}`;
  const box = budget.capacity ? `, the box has ${number(budget.capacity)}` : "";
  const said = `${measured}, predicted ${number(budget.cost)}, budget ${number(budget.budget)}${unit()}${box}`;
  $("used").textContent = said;
  $("bar").setAttribute("aria-label", said);
  slider.disabled = points.length < 2;
  $("file-budget").disabled = !budget.changed;
  if (points.length > 1 && !sliding) {
    slider.min = 0;
    slider.max = points.length - 1;
    const above = points.findIndex(point => point.budget > budget.budget * (1 + 1e-9));
    slider.value = above === -1 ? points.length - 1 : Math.max(0, above - 1);
    $("chosen").textContent = `${number(budget.budget)}${unit()}`;
    $("answer").textContent = "";
    $("apply").disabled = true;
  }
}

function slide() {
  const point = frontier.points[Number($("budget").value)];
  if (!point) return;
  sliding = true;
  $("chosen").textContent = `${number(point.budget)}${unit()}`;
  $("budget").setAttribute("aria-valuetext", $("chosen").textContent);
  const now = schedule.result ? schedule.result.objective : 0, more = point.objective - now;
  const steps = apps.filter(app => !app.paused).map(app => {
    const fps = point.fps[String(app.app_id)] ?? 0, before = app.target_fps ?? 0;
    return fps === before ? null : `${app.name} ${number(before)} → ${number(fps)} fps`;
  }).filter(one => one !== null);
  const shown = steps.length > 6 ? [...steps.slice(0, 6), `and ${steps.length - 6} more`] : steps;
  const mean = schedule.result && schedule.result.aggregate === "min" ? "worst" : "mean";
  $("answer").textContent = `${$("chosen").textContent}: ${more < 0 ? "−" : "+"}${Math.abs(more).toFixed(3)} ${mean} ` +
    `${named(frontier.metric)}${shown.length ? ", " + shown.join(", ") : ""}`;
  $("apply").disabled = false;
}

async function apply() {
  const point = frontier.points[Number($("budget").value)];
  sliding = false;
  if (point) await change("PUT", "/api/budget", {budget: Number(point.budget.toPrecision(12))});
  showBudget();
}

// ---- a staircase for each stem (each region has its own): layers to the right, frames a second upwards

function showStems() {
  const streams = streamsOf(schedule.result).filter(one => one.choices.length);
  if (!schedule.total_layers) { $("stems").replaceChildren(); return; }
  const svgs = streams.map(() => draw("svg", {class: "stem", role: "img"}));
  $("stems").replaceChildren(...svgs.map((svg, place) => {
    const names = streams[place].choices.map(choice => choice.name || choice.app_id).join(", ");
    const said = make("p", null, {class: "note"}, ...of(streams[place].stream), names);
    return make("div", null, {}, ...(streams.length > 1 ? [said] : []), svg);
  }));
  streams.forEach((one, place) => showStem(one, svgs[place]));
}

function streamsOf(result) {
  return result ? result.streams || [result] : [];
}

function showStem(result, svg) {
  const layers = (schedule.layers || {})[result.stream] || schedule.total_layers;
  const wide = svg.clientWidth || 400, high = svg.clientHeight || 230;
  const left = 34, right = wide - 10, floor = high - 24, top = 12;
  svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
  const rates = [...result.stem.map(part => part.target_fps), ...result.choices.map(choice => choice.target_fps), 1];
  const most = Math.max(...rates);
  const x = layer => left + (right - left) * layer / layers, y = fps => floor - (floor - top) * fps / most;
  const parts = result.stem.map(part => draw("rect", {x: x(part.start), y: y(part.target_fps),
    width: x(part.stop) - x(part.start), height: floor - y(part.target_fps), class: "blue-soft"}));
  const spots = new Map();
  const marks = result.choices.map(choice => {
    const layer = choice.num_frozen <= 1 ? 0 : choice.num_frozen, spot = `${layer} ${choice.target_fps}`;
    const place = spots.get(spot) || 0;
    spots.set(spot, place + 1);
    const mark = draw("circle", {cx: x(layer) + 6 + 12 * (place % 12), cy: y(choice.target_fps), r: 5, class: "blue"});
    mark.append(draw("title", {}, `${choice.name || choice.app_id}: shares ${layer} layers, ${choice.target_fps} fps`));
    return mark;
  });
  svg.replaceChildren(draw("line", {x1: left, x2: right, y1: floor, y2: floor, class: "mark"}), ...parts,
    draw("text", {x: 0, y: top + 8, class: "soft"}, number(most)), draw("text", {x: 0, y: top + 22, class: "soft"}, "fps"),
    draw("text", {x: left, y: floor + 16, class: "soft"}, "camera"),
    draw("text", {x: right, y: floor + 16, "text-anchor": "end", class: "soft"}, `${layers} layers`), ...marks);
  const said = result.stem.map(part => `layers ${part.start} to ${part.stop} at ${part.target_fps} fps`).join(", ");
  svg.setAttribute("aria-label", said ? `shared: ${said}` : "no layers are shared");
}

// ---- events

function showEvents() {
  const ids = new Set(events.map(event => event.event_id));
  for (const [id, address] of shownPictures) if (!ids.has(id)) { URL.revokeObjectURL(address); shownPictures.delete(id); }
  $("timeline").replaceChildren(...(events.length ? events.slice(0, 60).map(showEvent) :
    [make("li", "no events yet", {class: "note"})]));
}

function showEvent(event) {
  const image = make("img", null, {alt: `${event.app}, ${clock(event.peak_time)}`, loading: "lazy"});
  const ended = event.end === null ? "going on" : `${number(event.end - event.start, 2)} s`;
  const name = [...of(event.stream), make("strong", event.app)];
  const made = make("li", null, {"data-event-id": event.event_id}, image, ...name,
    make("div", `${clock(event.start)}, ${ended}, score ${number(event.peak_score, 2)}`,
      {class: event.end === null ? "open" : "note"}));
  showPicture(event.event_id, image);
  return made;
}

async function showPicture(id, image) {
  if (!shownPictures.has(id)) {
    try {
      const answer = await read(`/api/events/${encodeURIComponent(id)}/picture`);
      shownPictures.set(id, URL.createObjectURL(await answer.blob()));
    } catch (error) {
      return;
    }
  }
  image.src = shownPictures.get(id);
}

function heardEvent(event) {
  if (event.end !== null) { URL.revokeObjectURL(shownPictures.get(event.event_id)); shownPictures.delete(event.event_id); }
  const app = apps.find(one => one.stream === event.stream && [one.name, String(one.app_id)].includes(event.app));
  if (app) {
    app.event = event;
    const cell = document.querySelector(`[data-event="${CSS.escape(String(app.app_id))}"]`);
    if (cell) cell.textContent = lastEvent(app);
  }
  events = [event, ...events.filter(one => one.event_id !== event.event_id)].slice(0, 200);
  events.sort((one, other) => other.start - one.start);
  showEvents();
}

function showLine(said) {
  $("log").prepend(make("li", null, {}, make("time", clock(said.time)), document.createTextNode(said.line)));
  while ($("log").children.length > 30) $("log").lastChild.remove();
}

// ---- what comes every second

function showTroubles({troubles, streams}) {
  $("trouble").textContent = troubles.join("\n");
  $("trouble").hidden = troubles.length === 0;
  for (const [name, camera] of cameras) {
    const own = streams ? (streams[name] || {troubles: []}).troubles : troubles;
    camera.figure.classList.toggle("away", own.some(one => /camera|no frame/.test(one)));
  }
}

function heardStatus(status) {
  lastStatus = Date.now();
  pictureEvery = status.picture_s;
  showTroubles(status);
  showRates(status);
  budget.measured = status.measured;
  for (const app of apps) {
    const id = String(app.app_id), told = status.apps[id];
    if (told) {
      Object.assign(app, {...told, now: told.now || app.now});
      if (told.now) strips.set(id, [...(strips.get(id) || []), ...told.now.strip].slice(-SECONDS));
    }
    showRate(app);
  }
  showNow();
  if (!sliding) showBudget();
  const result = schedule.result;
  const count = streamsOf(result).reduce((sum, one) => sum + one.choices.length, 0);
  $("summary").textContent = result ? `${count} apps, predicted ${named(result.metric)} ` +
    `${result.objective.toFixed(3)}${schedule.runs ? "" : ", loading"}` : "no plan";
  if (status.version !== version) { version = status.version; reload(); }
}

async function listen() {
  for (;;) {
    try {
      const answer = await read("/api/stream");
      await reload();
      say("");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let pending = "";
      for (;;) {
        const {done, value} = await reader.read();
        if (done) break;
        pending += value;
        const messages = pending.split("\n\n");
        pending = messages.pop();
        messages.forEach(heard);
      }
      say("the connection to the box is lost", true);
    } catch (error) {
      say(error instanceof TypeError ? "the box does not answer" : error.message, true);
    }
    await new Promise(done => setTimeout(done, 2000));
  }
}

function heard(message) {
  const lines = message.split("\n"), of = key => lines.find(line => line.startsWith(key + ": "))?.slice(key.length + 2);
  const kind = of("event"), data = of("data");
  if (!kind || !data) return;
  const values = JSON.parse(data);
  if (kind === "status") heardStatus(values);
  else if (kind === "event") heardEvent(values);
  else if (kind === "said") showLine(values);
}

$("key").addEventListener("submit", event => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value.trim());
  $("token").value = "";
  say("");
  reload();
});
$("add").addEventListener("submit", async event => {
  event.preventDefault();
  const body = {package: $("package").value}, id = $("new-id").value.trim();
  if (id) body.app_id = id;
  if (!$("for-camera").hidden) body.stream = $("stream").value;
  if (await change("POST", "/api/apps", body)) $("new-id").value = "";
});
$("budget").addEventListener("input", slide);
$("apply").addEventListener("click", apply);
$("file-budget").addEventListener("click", () => { sliding = false; change("PUT", "/api/budget", {budget: null}); });
$("budget").addEventListener("keydown", event => {
  if (event.key === "Enter" && !$("apply").disabled) apply();
  if (event.key === "Escape") { sliding = false; showBudget(); }
});
window.addEventListener("resize", () => { showStems(); showRegions(); });
$("rows").addEventListener("focusout", () => setTimeout(() => { if (rowsWait) showApps(); }));
listen();
look();

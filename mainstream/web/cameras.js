"use strict";
// The cameras: the picture of each with the regions on it, its rate, and what its apps say now.
let cameras = new Map(); // name of the stream, or null if it has none -> the elements that show it

function showCameras(names) {
  if (names.length === cameras.size && names.every(name => cameras.has(name))) return;
  cameras = new Map(names.map(name => {
    const called = name ?? "the camera";
    const image = make("img", null, {class: "picture", alt: `the picture of ${called}`, onload: showRegions});
    const regions = draw("svg", {class: "regions", role: "img"}), caption = make("figcaption", "no picture yet");
    const now = make("ul", null, {class: "now", "aria-label": `what the apps of ${called} say now`});
    const view = make("div", null, {class: "view"}, image, regions);
    const figure = make("figure", null, {"data-stream": name}, view, caption, now);
    return [name, {figure, image, regions, caption, now}];
  }));
  $("seen").replaceChildren(...[...cameras.values()].map(one => one.figure));
  $("for-camera").hidden = names[0] === null;
  $("stream").replaceChildren(...names.filter(name => name !== null).map(name => make("option", name, {value: name})));
}

const appsOf = name => apps.filter(app => (app.stream ?? null) === name && app.target_fps !== null);

function showNow() {
  for (const [name, camera] of cameras) {
    camera.now.replaceChildren(...appsOf(name).filter(app => app.now).map(app => {
      const now = app.now;
      const says = now.positive === null ? `class ${now.class}` : now.positive ? "yes" : "no";
      return make("li", `${app.name}: ${says} ${number(now.score, 2)}`, {class: now.positive ? "yes" : ""});
    }));
  }
  showRegions();
}

// The regions on the picture, in its own pixels; lines and text are scaled to keep their size on the screen.
function showRegions() {
  for (const [name, camera] of cameras) showRegionsOf(name, camera);
}

function showRegionsOf(stream, camera) {
  const {naturalWidth: width, naturalHeight: height, clientWidth: shown} = camera.image, regions = new Map();
  for (const app of appsOf(stream)) {
    if (!app.region) continue;
    const key = app.region.join();
    regions.set(key, [...(regions.get(key) || []), app]);
  }
  const names = [...regions.values()].map(some => some.map(app => app.name).join(", "));
  const said = names.length ? `regions: ${names.join("; ")}` : "all apps see the whole picture";
  camera.regions.setAttribute("aria-label", said);
  if (!width || !shown) return;
  const scale = Math.max(width / shown, height / camera.image.clientHeight);
  camera.regions.setAttribute("viewBox", `0 0 ${width} ${height}`);
  camera.regions.replaceChildren(...[...regions.values()].map((some, place) => {
    const [x, y, across, down] = some[0].region, yes = some.some(app => app.now && app.now.positive);
    const box = {x: x * width, y: y * height, width: across * width, height: down * height};
    const most = Math.max(4, Math.floor(((width - box.x) / scale - 8) / 8.5)), name = names[place];
    const text = name.length > most ? `${name.slice(0, most - 1)}…` : name;
    const group = draw("g", {class: yes ? "region yes" : "region", "data-region": some[0].region.join()});
    const label = draw("text", {x: box.x + 5 * scale, y: box.y + 16 * scale}, text);
    label.style.fontSize = `${13 * scale}px`;
    group.append(draw("rect", {...box, class: "under"}), draw("rect", box), label);
    return group;
  }));
}

function showRates({stream_fps, streams}) {
  for (const [name, camera] of cameras) {
    const fps = streams ? (streams[name] || {}).stream_fps : stream_fps;
    const rate = fps === null || fps === undefined ? "the camera is elsewhere" : `${number(fps)} fps`;
    camera.caption.textContent = name === null ? rate : `${name}, ${rate}`;
  }
}

async function look() {
  for (;;) {
    const began = Date.now();
    if (!document.hidden && began - lastStatus < 10000) {
      await Promise.all([...cameras].map(([name, camera]) => showNewest(name, camera.image)));
    }
    await new Promise(done => setTimeout(done, Math.max(100, 1000 * pictureEvery - (Date.now() - began))));
  }
}

async function showNewest(name, image) {
  try {
    const answer = await read(`/api/picture${name === null ? "" : `?stream=${encodeURIComponent(name)}`}`);
    const before = image.src;
    image.src = URL.createObjectURL(await answer.blob());
    if (before) URL.revokeObjectURL(before);
  } catch (error) { /* there is none now; the troubles say why */ }
}

// The map of finds: look-alikes lie beside each other, and a lasso makes a group of them to judge.
import { $, call, keepChosen, onKeys, toast, watchProgress } from "./common.js";
import { scatter } from "./map_canvas.js";

const COLOURS = 8, OTHER = 8, NONE = 9; // places in the palette: names of their own, all other names, no name
const ROWS = 200;
const number = (count) => count.toLocaleString("en");
const VERDICTS = { null: ["not judged yet", NONE], accept: ["accepted", 2], relabel: ["renamed", 0], known: ["a known class", 5], "not an object": ["not an object", 1], unsure: ["unsure", 4] };

watchProgress();
start();

async function start() {
  let map;
  try {
    map = await call("/api/map");
  } catch (failure) {
    $("map-count").textContent = `${failure.message}${failure.passing ? " Trying again…" : ""}`;
    if (failure.passing) setTimeout(start, 2000);
    return;
  }
  const count = map.items.length;
  const without = map.without_place ? `${number(map.without_place)} more ${map.without_place === 1 ? "has" : "have"} no place yet: the next mining gives them one, unless another model found them.` : "";
  $("map-count").textContent = `${number(count)} find${count === 1 ? "" : "s"}, look-alikes beside each other. ${without}`;
  if (!count) {
    $("map-count").textContent = without ? `${number(map.without_place)} find${map.without_place === 1 ? "" : "s"} in the queue.` : "The queue holds no finds.";
    $("map-empty").hidden = false;
    return;
  }
  $("map").hidden = false;
  show(map);
}

function show(map) {
  const count = map.items.length;
  const nameOf = (index) => map.names[map.name[index]] ?? "no clear name";
  const verdictOf = (index) => map.verdicts[map.verdict[index]];
  const isOpen = (index) => verdictOf(index) === null;
  const groups = { name: byName(map), verdict: byVerdict(map) };
  const chosen = new Uint8Array(count);
  let by = "name", only = null, pinned = -1;

  const view = scatter($("map-points"), $("map-over"), { x: Float32Array.from(map.x), y: Float32Array.from(map.y) }, {
    look: (index, pin) => card(index, pin),
    encircled: (found) => add(found, "The lasso holds no find."),
    moved: () => { if (pinned < 0) $("map-card").hidden = true; else place(pinned); },
    lassoing: (on) => $("map-lasso").setAttribute("aria-pressed", on),
    pinned: () => pinned >= 0,
  });

  function colour() {
    const style = getComputedStyle($("map")), palette = Array.from({ length: 10 }, (_, place) => style.getPropertyValue(`--map-${place}`));
    const all = palette.map(ink);
    Object.assign(all, { faint: ink(style.getPropertyValue("--map-faint")), chosen: ink(style.getPropertyValue("--ink")), ground: ink(style.getPropertyValue("--card")) });
    view.paintWith(all, groups[by].of);
    for (const swatch of document.querySelectorAll("#legend i")) swatch.style.background = palette[swatch.dataset.colour];
  }
  new MutationObserver(colour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colour);

  // Legend

  function legend() {
    $("legend").replaceChildren(...groups[by].legend.map(({ label, many, colour, has }) => {
      const row = document.createElement("li"), button = document.createElement("button"), swatch = document.createElement("i");
      swatch.dataset.colour = colour;
      button.type = "button";
      button.setAttribute("aria-pressed", false);
      button.append(swatch, Object.assign(document.createElement("span"), { textContent: label }), Object.assign(document.createElement("small"), { textContent: number(many) }));
      button.addEventListener("click", () => emphasise(button, has));
      row.append(button);
      return row;
    }));
    colour();
  }
  function emphasise(button, has) {
    const on = only !== button;
    only?.setAttribute("aria-pressed", false);
    only = on ? button : null;
    button.setAttribute("aria-pressed", on);
    view.only(on ? Uint8Array.from({ length: count }, (_, index) => (has(index) ? 0 : 1)) : null);
  }
  function colourBy(what) {
    by = what;
    if (only) emphasise(only);
    for (const one of ["name", "verdict"]) $(`by-${one}`).setAttribute("aria-pressed", one === by);
    legend();
  }
  $("by-name").addEventListener("click", () => colourBy("name"));
  $("by-verdict").addEventListener("click", () => colourBy("verdict"));

  // The card of a find

  let later = null;
  function card(index, pin) {
    clearTimeout(later);
    pinned = pin ? index : -1;
    $("map-card").hidden = index < 0;
    if (index < 0) return;
    $("map-card").classList.toggle("pinned", pin);
    $("map-name").textContent = nameOf(index);
    $("map-verdict").textContent = VERDICTS[verdictOf(index)][0];
    for (const id of ["map-crop", "map-mask"]) $(id).removeAttribute("src");
    // Not of each find that the pointer passes.
    later = setTimeout(() => {
      $("map-crop").src = `/items/${map.items[index]}/crop.jpg`;
      $("map-mask").src = `/items/${map.items[index]}/mask.png`;
    }, 90);
    $("map-open").href = `/items/${map.items[index]}`;
    $("map-toggle").textContent = chosen[index] ? "Leave out" : "Choose";
    place(index);
  }
  // Beside the find, and beside the ring of those who use keys.
  function place(index) {
    const box = $("map-card"), stage = $("map-stage"), { at: [x, y], free } = view.place(index);
    const [west, east] = free ?? [x - 6, x + 6];
    const right = east + 10 + box.offsetWidth < stage.clientWidth;
    box.style.left = `${Math.max(4, Math.min(stage.clientWidth - box.offsetWidth - 4, right ? east + 10 : west - 10 - box.offsetWidth))}px`;
    box.style.top = `${Math.max(4, Math.min(stage.clientHeight - box.offsetHeight - 4, y - box.offsetHeight / 2))}px`;
  }
  $("map-toggle").addEventListener("click", () => {
    if (pinned < 0) return;
    chosen[pinned] = chosen[pinned] ? 0 : 1;
    $("map-toggle").textContent = chosen[pinned] ? "Leave out" : "Choose";
    showChosen();
  });

  // The chosen

  function add(found, none) {
    if (!found.length) return toast(none, "warning");
    for (const index of found) chosen[index] = 1;
    showChosen();
    tell(`${number(found.length)} added.`);
  }
  const picked = () => { const found = []; for (let index = 0; index < count; index++) if (chosen[index]) found.push(index); return found; };
  function showChosen() {
    const all = picked(), open = all.filter(isOpen), most = Number($("map").dataset.most);
    view.choose(chosen);
    $("dock").hidden = !all.length;
    const judged = all.length - open.length;
    $("chosen").textContent = `${number(all.length)} chosen${judged ? `, ${number(judged)} judged already` : ""}${open.length > most ? `; at most ${number(most)} open together` : ""}`;
    $("map-judge").disabled = !open.length;
    $("map-judge").firstElementChild.textContent = `Judge ${number(Math.min(open.length, most))} as a group`;
    return open.slice(0, most);
  }
  function judge() {
    const open = showChosen();
    if (!open.length) return toast("Choose finds that nobody judged yet.", "warning");
    keepChosen(open.map((index) => map.items[index]));
    location.href = "/grid?chosen=true";
  }
  function clear() {
    chosen.fill(0);
    showChosen();
  }

  let saying = null;
  function tell(words) {
    clearTimeout(saying);
    saying = setTimeout(() => { $("map-told").textContent = words; }, 200);
  }
  function tellRing(found) {
    const many = new Map();
    for (const index of found) many.set(nameOf(index), (many.get(nameOf(index)) ?? 0) + 1);
    const held = [...many].sort((one, other) => other[1] - one[1]).slice(0, 3).map(([name, some]) => `${some} ${name}`);
    tell(found.length ? `In the ring: ${number(found.length)}; ${held.join(", ")}` : "Nothing in the ring.");
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  onKeys((key, event) => {
    if (ARROWS[key]) {
      const [right, down] = ARROWS[key];
      if (event.shiftKey) view.pan(-80 * right, -80 * down);
      else tellRing(view.moveRing(right, down));
    } else if (key === " ") add(view.inRing(), "Nothing is in the ring. Arrows move it.");
    else if (key === "[" || key === "]") tellRing(view.sizeRing(key === "[" ? 1 / 1.3 : 1.3));
    else if (key === "+" || key === "=") view.zoomBy(1.5);
    else if (key === "-") view.zoomBy(1 / 1.5);
    else if (key === "0") view.home();
    else if (key === "l") view.lasso();
    else if (key === "g") judge();
    else if (key === "x") clear();
    else if (key === "v") colourBy(by === "name" ? "verdict" : "name");
    else if (key === "Escape") { if (view.lassoing) view.lasso(); view.look(-1, false); }
    else return false;
    return true;
  });

  // The same in words

  const rows = groups.name.table.slice(0, ROWS).map(({ label, many, judged, has }) => {
    const row = document.createElement("tr"), cell = document.createElement("td"), button = document.createElement("button");
    Object.assign(button, { type: "button", className: "link", textContent: label, title: "Show only these on the map" });
    button.setAttribute("aria-pressed", false);
    button.addEventListener("click", () => emphasise(button, has));
    cell.append(button);
    row.append(cell, ...[many, judged, many - judged].map((some) => Object.assign(document.createElement("td"), { className: "number", textContent: number(some) })));
    return row;
  });
  $("map-rows").replaceChildren(...rows);
  $("map-more").textContent = groups.name.table.length > ROWS ? `and ${number(groups.name.table.length - ROWS)} more names` : "";
  colourBy("name");
}

// A colour as text and as the number that a pixel is.
function ink(text) {
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = text.trim() || "#888";
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return { text: text.trim() || "#888", number: ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0 };
}

// The commonest names have colours of their own: as far as it is free the colour that the name always has.
function byName(map) {
  const count = map.items.length, many = new Uint32Array(map.names.length), judged = new Uint32Array(map.names.length);
  for (let index = 0; index < count; index++) {
    many[map.name[index]]++;
    if (map.verdict[index]) judged[map.name[index]]++;
  }
  const colour = new Uint8Array(map.names.length).fill(OTHER), taken = new Set();
  map.names.forEach((name, place) => {
    if (name === null) colour[place] = NONE;
    else if (taken.size < COLOURS) {
      let wanted = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 9973, 7) % COLOURS;
      while (taken.has(wanted)) wanted = (wanted + 1) % COLOURS;
      taken.add(wanted);
      colour[place] = wanted;
    }
  });
  const table = map.names.map((name, place) => ({ label: name ?? "no clear name", many: many[place], judged: judged[place], colour: colour[place], has: (index) => map.name[index] === place }));
  const others = table.filter((one) => one.colour === OTHER);
  const legend = table.filter((one) => one.colour < COLOURS);
  if (others.length) legend.push({ label: `${number(others.length)} other name${others.length === 1 ? "" : "s"}`, many: others.reduce((sum, one) => sum + one.many, 0), colour: OTHER, has: (index) => colour[map.name[index]] === OTHER });
  legend.push(...table.filter((one) => one.colour === NONE));
  return { of: Uint8Array.from(map.name, (place) => colour[place]), legend, table };
}

function byVerdict(map) {
  const many = new Uint32Array(map.verdicts.length);
  for (const verdict of map.verdict) many[verdict]++;
  const legend = map.verdicts.map((verdict, place) => ({ label: VERDICTS[verdict][0], many: many[place], colour: VERDICTS[verdict][1], has: (index) => map.verdict[index] === place }));
  return { of: Uint8Array.from(map.verdict, (place) => VERDICTS[map.verdicts[place]][1]), legend: legend.filter((one) => one.many) };
}

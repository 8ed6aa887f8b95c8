// Look-alikes side by side: those chosen are judged together.
import { $, Outbox, askName, call, chosenOnMap, describe, onKeys, toast, watchProgress } from "./common.js";

const COUNT = 60;

// What a group holds, by the name that accepting records, the commonest first.
function count(items) {
  const many = new Map();
  for (const item of items) many.set(item.suggestion ?? "no name", (many.get(item.suggestion ?? "no name") ?? 0) + 1);
  return [...many].sort((one, other) => other[1] - one[1]);
}
// Look-alikes with several suggestions, or without a clear one, may be different things: nobody judges them unseen.
const mixed = (items) => count(items).length > 1 || items.some((item) => item.unclear);
watchProgress();
if ($("grid")) start();

function start() {
  const filters = JSON.parse($("grid").dataset.filters);
  // Chosen on the map, in this tab.
  const among = "chosen" in $("grid").dataset ? chosenOnMap() : null;
  let items = [];
  let chosen = new Set();
  let focus = 0;
  let retry = 0;

  const outbox = new Outbox({
    onSent: () => { if (!items.length) load(); },
    onRefused: (change, failure) => { toast(failure.message, "warning"); load(); },
  });

  async function load() {
    if (among && !among.length) return draw();
    try {
      const leased = await call("/api/lease", { filters, count: COUNT, holding: [], ...(among && { items: among }) });
      retry = 0;
      if (outbox.idle) outbox.say();
      items = leased.items.filter((item) => !outbox.holds(item.item_id));
      chosen = mixed(items) ? new Set() : new Set(items.map((item) => item.item_id));
      focus = 0;
      keepFor(leased.seconds);
      draw();
    } catch (failure) {
      outbox.say(failure);
      setTimeout(load, Math.min(500 * 2 ** retry++, 8000));
    }
  }

  let timer = null;
  function keepFor(seconds) {
    timer ??= setInterval(renew, Math.max(500, (seconds * 1000) / 3));
  }
  async function renew() {
    if (document.hidden || !items.length) return;
    try {
      const held = new Set((await call("/api/renew", { items: items.map((item) => item.item_id) })).items);
      const left = items.filter((item) => held.has(item.item_id));
      if (left.length === items.length || !outbox.idle) return;
      toast(`Your hold on ${items.length - left.length} of these ran out; they went back to the queue.`, "warning");
      load();
    } catch (failure) {
      outbox.say(failure);
    }
  }
  addEventListener("visibilitychange", () => { if (!document.hidden) renew(); });

  function draw() {
    $("tiles").replaceChildren(...items.map((item, place) => {
      const tile = document.createElement("div"), crop = document.createElement("img"), mask = document.createElement("img"), label = document.createElement("span");
      tile.className = "tile";
      tile.role = "option";
      tile.id = `tile-${place}`;
      crop.src = `/items/${item.item_id}/crop.jpg`;
      mask.src = `/items/${item.item_id}/mask.png`;
      crop.alt = mask.alt = "";
      crop.loading = mask.loading = "lazy";
      const told = item.suggestion ? `${item.suggestion}${item.unclear ? "?" : ""}` : "no name";
      label.textContent = `${told} · ${item.drive}`;
      tile.setAttribute("aria-label", `${told}${item.unclear ? ` (${item.unclear})` : ""}, ${item.drive}`);
      tile.append(crop, mask, Object.assign(document.createElement("i"), { ariaHidden: "true" }), label);
      tile.addEventListener("click", () => { focus = place; toggle(place); });
      return tile;
    }));
    const done = items.length === 0;
    $("tiles").hidden = $("dock").hidden = done;
    $("empty").hidden = !done;
    if (done) {
      $("empty").replaceChildren(
        Object.assign(document.createElement("h2"), { textContent: among && !among.length ? "Nothing is chosen" : "This group is done" }),
        Object.assign(document.createElement("p"), { textContent: among && !among.length ? "Choose finds on the map first." : "Others may hold the rest, or it is judged." }),
        Object.assign(document.createElement("a"), { className: "button", ...(among ? { href: "/map", textContent: "Map of finds" } : { href: "/grid", textContent: "All groups" }) }),
      );
    } else {
      const held = count(items);
      $("grid-title").textContent = held.length === 1 ? held[0][0] : `${held.length} different suggestions`;
      $("grid-count").textContent = held.map(([name, many]) => `${many} ${name}`).join(" · ");
      $("grid-mixed").hidden = !mixed(items);
      $("tiles").focus({ preventScroll: true });
    }
    mark();
  }

  function mark() {
    [...$("tiles").children].forEach((tile, place) => {
      tile.setAttribute("aria-selected", chosen.has(items[place].item_id));
      tile.classList.toggle("focus", place === focus);
    });
    if (items.length) $("tiles").setAttribute("aria-activedescendant", `tile-${focus}`);
    $("tiles").children[focus]?.scrollIntoView({ block: "nearest" });
    $("chosen").textContent = `${chosen.size} of ${items.length} chosen`;
    const names = [...new Set(picked().map((item) => item.suggestion))];
    $("accept").disabled = !names.length || names.includes(null);
    $("accept-label").textContent = names.length > 1 ? "Accept each as its own name" : names[0] ? `Accept as “${names[0]}”` : "Accept";
    $("grid-count").textContent = items.length ? "Arrows and space choose; what is not chosen stays. One key judges all that are chosen." : "";
  }

  function toggle(place) {
    const id = items[place]?.item_id;
    if (!id) return;
    if (!chosen.delete(id)) chosen.add(id);
    mark();
  }

  const picked = () => items.filter((item) => chosen.has(item.item_id));

  function judge(body, path = "/api/decide") {
    const ids = picked().map((item) => item.item_id);
    if (!ids.length) return toast("Choose at least one.", "warning");
    if (body.verdict === "accept" && picked().some((item) => !item.suggestion)) {
      return toast("Some of these have no suggestion to accept. Type a name for them.", "warning");
    }
    // Accepting takes each item's own suggestion.
    outbox.add(path, { ...body, items: ids });
    const told = body.verdict === "accept" ? count(picked()).map(([name, many]) => `${many} as ${name}`).join(", ") : `${ids.length} as ${describe(body)}`;
    toast(`Recorded: ${told}`);
    items = items.filter((item) => !chosen.has(item.item_id));
    chosen = mixed(items) ? new Set() : new Set(items.map((item) => item.item_id));
    focus = 0;
    if (items.length) draw();
    else $("tiles").replaceChildren();
  }

  async function name(known) {
    const hint = known ? "The classes that the model was taught." : `For all ${chosen.size} that are chosen.`;
    const answer = await askName({ known, hint, first: [...new Set(items.flatMap((item) => item.names.map((one) => one.name)))].slice(0, 8) });
    if (answer) judge({ verdict: answer.known ? "known" : "relabel", name: answer.name });
  }

  async function undo() {
    if (outbox.withdraw()) return load();
    if (!(await outbox.settled())) return toast("Your last decision is on its way. Undo it when the server is back.", "warning");
    try {
      const back = await call("/api/undo", {});
      toast(`Taken back: ${back.items.length}`);
      items = [...back.items, ...items.filter((item) => !back.items.some((one) => one.item_id === item.item_id))];
      chosen = new Set(back.items.map((item) => item.item_id));
      focus = 0;
      draw();
    } catch (failure) {
      toast(failure.message, "warning");
    }
  }

  function step(by) {
    focus = Math.max(0, Math.min(items.length - 1, focus + by));
    mark();
  }

  const columns = () => getComputedStyle($("tiles")).gridTemplateColumns.split(" ").length;

  onKeys((key) => {
    if (key === "a") judge({ verdict: "accept" });
    else if (key === "n") judge({ verdict: "not an object" });
    else if (key === "u") judge({ verdict: "unsure" });
    else if (key === "s") judge({ hours: 24 }, "/api/snooze");
    else if (key === "k") name(true);
    else if (key === "/") name(false);
    else if (key === "z") undo();
    else if (key === "x") { chosen = chosen.size === items.length ? new Set() : new Set(items.map((item) => item.item_id)); mark(); }
    else if (key === " ") toggle(focus);
    else if (key === "ArrowLeft") step(-1);
    else if (key === "ArrowRight") step(1);
    else if (key === "ArrowUp") step(-columns());
    else if (key === "ArrowDown") step(columns());
    else return false;
    return true;
  });
  addEventListener("pagehide", () => {
    const csrf = document.querySelector('meta[name="csrf"]').content;
    const ids = items.map((item) => item.item_id);
    if (ids.length) fetch("/api/release", { method: "POST", keepalive: true, headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify({ items: ids }) });
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  load();
}

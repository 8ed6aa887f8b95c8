// A second opinion: the item without what the first reviewer said.
import { $, askName, call, onKeys, percent, toast } from "./common.js";

let items = [], skipped = new Set(), underWay = 0;

async function load() {
  try {
    items = (await call("/api/second")).items.filter((item) => !skipped.has(item.item_id));
    draw();
  } catch (failure) {
    toast(failure.message, "warning");
  }
}

function draw() {
  const item = items[0];
  $("second-picture").hidden = $("second-verdicts").hidden = !item;
  $("second-empty").hidden = Boolean(item);
  $("second-empty").textContent = "Nothing waits for your opinion. Items that you judged yourself go to somebody else.";
  if (!item) return;
  $("second-crop").src = `/items/${item.item_id}/crop.jpg`;
  $("second-mask").src = `/items/${item.item_id}/mask.png`;
  $("second-picture").style.aspectRatio = `${item.crop_box.width} / ${item.crop_box.height}`;
  $("second-names").replaceChildren(...item.names.slice(0, 5).map((one, place) => {
    const row = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.append(
      Object.assign(document.createElement("kbd"), { textContent: place + 1 }),
      Object.assign(document.createElement("span"), { className: "label", textContent: one.name }),
      Object.assign(document.createElement("span"), { className: "score", textContent: percent(one.score) }),
    );
    button.addEventListener("click", () => press(String(place + 1)));
    row.append(button);
    return row;
  }));
}

function next() {
  items.shift();
  draw();
  if (!items.length && !underWay) load();
}

// The next item is shown at once, so that a key pressed meanwhile is meant for it and not lost.
async function say(body) {
  const item = items[0];
  if (!item) return;
  underWay += 1;
  next();
  try {
    const { outcome } = await call(`/api/items/${item.item_id}/opinion`, body);
    toast(outcome === "agreed" ? "Recorded. You agree with the first reviewer." : "Recorded. The first reviewer said something else: it is listed under Disagreements.");
  } catch (failure) {
    toast(failure.message, "warning");
    items.unshift(item);
    draw();
  }
  underWay -= 1;
  if (!items.length && !underWay) load();
}

async function name(known) {
  const item = items[0];
  if (!item) return;
  const answer = await askName({ known, hint: "What is it, by your own eyes?", first: item.names.map((one) => one.name) });
  if (answer) say({ verdict: answer.known ? "known" : "relabel", name: answer.name });
}

function press(key) {
  const item = items[0];
  if (!item) return false;
  if (/^[1-5]$/.test(key)) { if (item.names[key - 1]) say({ verdict: "relabel", name: item.names[key - 1].name }); }
  else if (key === "n") say({ verdict: "not an object" });
  else if (key === "u") say({ verdict: "unsure" });
  else if (key === "k") name(true);
  else if (key === "/") name(false);
  else if (key === "ArrowRight") { skipped.add(item.item_id); next(); }
  else return false;
  return true;
}
onKeys(press);
load();

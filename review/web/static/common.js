// What the one-by-one page and the grid share: talking to the server, an outbox that outlasts a lost
// connection, messages, keys, and the dialog for names.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
export const $ = (id) => document.getElementById(id);
export const reviewer = meta("reviewer");

// What the server refused. `passing` failures may be tried again as they are.
export class Failure extends Error {
  constructor(message, { status = 0, passing = false } = {}) {
    super(message);
    this.status = status;
    this.passing = passing;
  }
}

export async function call(path, body) {
  const options = body
    ? { method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": meta("csrf") }, body: JSON.stringify(body) }
    : {};
  let answer;
  try {
    answer = await fetch(path, { ...options, signal: AbortSignal.timeout(15000) });
  } catch {
    throw new Failure("The server cannot be reached.", { passing: true });
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  const passing = answer.status === 503 || answer.status === 502 || answer.status === 504;
  throw new Failure(said.message ?? `The server answered ${answer.status}.`, { status: answer.status, passing });
}

// A picture that the server makes of what is sent.
export async function callPicture(path, body) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": meta("csrf") }, body: JSON.stringify(body), signal: AbortSignal.timeout(15000) });
  } catch {
    throw new Failure("The server cannot be reached.", { passing: true });
  }
  if (answer.ok) return createImageBitmap(await answer.blob());
  const said = await answer.json().catch(() => ({}));
  throw new Failure(said.message ?? `The server answered ${answer.status}.`, { status: answer.status });
}

// Pictures of the archive may be slow and a browser opens few connections: two at a time leave the others to
// decisions. Each is an {image, source}; what left the page meanwhile (`wanted()` is false) is not asked for.
const SLOTS = 2;
const line = [];
let loading = 0;
export function fromArchive(pictures, { soon = false } = {}) {
  if (soon) line.unshift(...pictures);
  else line.push(...pictures);
  pump();
}
function pump() {
  while (loading < SLOTS && line.length) {
    const { image, source, wanted } = line.shift();
    if (wanted && !wanted()) continue;
    const done = () => {
      image.removeEventListener("load", done);
      image.removeEventListener("error", done);
      loading--;
      pump();
    };
    image.addEventListener("load", done);
    image.addEventListener("error", done);
    loading++;
    image.src = source;
  }
}

// Random, also where a page is served without TLS and crypto.randomUUID is missing.
export const newAction = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export function toast(message, kind = "plain") {
  const shown = document.createElement("div");
  shown.className = `toast ${kind}`;
  shown.textContent = message;
  $("toasts").append(shown);
  while ($("toasts").children.length > 3) $("toasts").firstChild.remove();
  setTimeout(() => shown.remove(), kind === "plain" ? 2200 : 8000);
}

export function banner(message, link) {
  const place = $("banner");
  place.hidden = !message;
  place.textContent = message ?? "";
  if (message && link) {
    const anchor = document.createElement("a");
    anchor.href = link.href;
    anchor.textContent = link.label;
    place.append(" ", anchor);
  }
}

const signInLink = () => ({ href: `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`, label: "Sign in" });

// Changes on their way to the server, in order, kept in this browser until it has answered. Each carries an
// action id, so that one sent twice counts once.
export class Outbox {
  constructor({ onRefused, onSent }) {
    this.key = `clipomaly outbox ${reviewer}`;
    this.onRefused = onRefused;
    this.onSent = onSent;
    this.waiting = JSON.parse(localStorage.getItem(this.key) ?? "[]");
    this.sending = false;
    this.wait = 500;
    addEventListener("online", () => this.flush());
    addEventListener("beforeunload", (event) => {
      if (this.waiting.length) event.preventDefault();
    });
    if (this.waiting.length) this.flush();
  }

  keep() {
    if (this.waiting.length) localStorage.setItem(this.key, JSON.stringify(this.waiting));
    else localStorage.removeItem(this.key);
  }

  add(path, body) {
    const change = { path, body: { ...body, action_id: newAction() } };
    this.waiting.push(change);
    this.keep();
    this.flush();
    return change.body.action_id;
  }

  // Takes back the last change when it has not left yet.
  withdraw() {
    if (this.waiting.length < (this.sending ? 2 : 1)) return null;
    const last = this.waiting.pop();
    this.keep();
    this.say();
    return last;
  }

  holds(id) {
    return this.waiting.some((change) => change.body.items.includes(id));
  }

  // Once what is on its way has arrived, or cannot: whether nothing is left.
  async settled() {
    while (this.sending) await new Promise((resolve) => setTimeout(resolve, 30));
    return this.idle;
  }

  get idle() {
    return !this.waiting.length;
  }

  // The banner: what is wrong with the server, and what waits for it.
  say(failure) {
    const count = this.waiting.length;
    const kept = count === 1 ? "Your last decision is" : `Your last ${count} decisions are`;
    if (failure?.status === 401) banner(`${failure.message} ${count ? `${kept} kept in this browser and sent then.` : ""}`, signInLink());
    else if (failure?.passing) banner(`${failure.message} ${count ? `${kept} kept in this browser and sent when it is back.` : "Trying again…"}`);
    else banner(failure?.message ?? null);
  }

  async flush() {
    if (this.sending) return;
    this.sending = true;
    while (this.waiting.length) {
      const change = this.waiting[0];
      try {
        const answer = await call(change.path, change.body);
        this.waiting.shift();
        this.keep();
        this.wait = 500;
        this.say();
        this.onSent?.(change, answer);
      } catch (failure) {
        if (!failure.passing && failure.status !== 401) {
          this.waiting.shift();
          this.keep();
          this.say();
          this.onRefused(change, failure);
          continue;
        }
        this.say(failure);
        this.sending = false;
        setTimeout(() => this.flush(), this.wait);
        this.wait = Math.min(this.wait * 2, 8000);
        return;
      }
    }
    this.sending = false;
  }
}

// A field of a closed dialog keeps the keys until the next frame is drawn: the first key after it would be lost.
export function closeDialog(dialog, field) {
  dialog.close();
  field.blur();
}

export function onKeys(press) {
  addEventListener("keydown", (event) => {
    // A key held down moves on, but judges once.
    if (event.ctrlKey || event.metaKey || event.altKey || (event.repeat && !event.key.startsWith("Arrow"))) return;
    if (document.querySelector("dialog[open]") || event.target.closest("input, select, textarea, summary")) return;
    if ((event.key === " " || event.key === "Enter") && event.target.closest("button, a")) return;
    if (press(event.key.length === 1 ? event.key.toLowerCase() : event.key, event)) event.preventDefault();
  });
  for (const button of document.querySelectorAll("button[data-key]")) button.addEventListener("click", () => press(button.dataset.key));
}

// Asks for a name, with completion; resolves to {name, known} or null. A name that nobody used yet is asked about once:
// a slip of the finger must not become a class.
export function askName({ known, hint, first = [] }) {
  const dialog = $("namer"), input = $("namer-input"), list = $("namer-list"), problem = $("namer-problem");
  $("namer-title").textContent = known ? "Which known class is it?" : "What is it?";
  $("namer-hint").textContent = hint;
  input.value = "";
  problem.textContent = "";
  let offered = [], at = -1, asked = 0, exists = null, confirmed = null;

  const mark = (index) => {
    at = index;
    [...list.children].forEach((row, place) => row.setAttribute("aria-selected", place === at));
    const row = list.children[at];
    row?.scrollIntoView({ block: "nearest" });
    if (row) input.setAttribute("aria-activedescendant", row.id);
    else input.removeAttribute("aria-activedescendant");
  };
  const show = (names) => {
    offered = names;
    list.replaceChildren(...names.map((one, place) => {
      const row = document.createElement("li");
      row.id = `namer-${place}`;
      row.role = "option";
      row.textContent = one.fresh ? `New name: ${one.name}` : one.name;
      if (one.fresh) row.className = "fresh";
      if (one.known && !known) row.append(Object.assign(document.createElement("small"), { textContent: "known class" }));
      row.addEventListener("mousedown", (event) => { event.preventDefault(); mark(place); take(); });
      return row;
    }));
    mark(known && names.length ? 0 : -1);
  };
  const complete = async () => {
    const mine = ++asked, typed = input.value.trim();
    exists = null;
    if (!typed && !known) return show(first.map((name) => ({ name, known: false })));
    const asking = new URLSearchParams({ typed: typed.slice(0, 200), known });
    for (const name of first.slice(0, 20)) asking.append("suggested", name);
    try {
      const answer = await call(`/api/names?${asking}`);
      if (mine !== asked) return;
      exists = answer.exists;
      show(known || exists || typed.length > 100 ? answer.names : [...answer.names, { name: typed, known: false, fresh: true }]);
    } catch (failure) {
      if (mine !== asked) return;
      show([]);
      if (!failure.passing) problem.textContent = failure.message;
    }
  };
  let done;
  const finish = (answer) => {
    asked++; // what is still under way would fill the list of the next dialog
    closeDialog(dialog, input);
    input.oninput = input.onkeydown = dialog.oncancel = $("namer-cancel").onclick = dialog.querySelector("form").onsubmit = null;
    done(answer);
  };
  const take = () => {
    const chosen = offered[at] ?? offered.find((one) => one.name.toLowerCase() === input.value.trim().toLowerCase() && !one.fresh);
    const name = chosen?.name ?? input.value.trim();
    if (!name) problem.textContent = "Type a name, or press Esc.";
    else if (name.length > 100) problem.textContent = `The name has ${name.length.toLocaleString("en")} characters; at most 100 are kept. Shorten it.`;
    else if (known && !chosen && offered.length + asked > 0 && !offered.some((one) => one.name === name)) problem.textContent = "That is no known class. Choose one, or press Esc and / for another name.";
    else if (!known && (!chosen || chosen.fresh) && exists !== true && confirmed !== name) {
      confirmed = name;
      const near = offered.filter((one) => !one.fresh).slice(0, 3).map((one) => `“${one.name}”`);
      problem.textContent = `“${name}” is a new name. ${near.length ? `Did you mean ${near.join(" or ")}? ` : ""}Press Enter again to add it.`;
      mark(offered.findIndex((one) => one.fresh));
    } else finish({ name, known: known || Boolean(chosen?.known) });
  };
  input.oninput = () => { problem.textContent = ""; confirmed = null; complete(); };
  input.onkeydown = (event) => {
    if (event.key === "ArrowDown") mark(Math.min(at + 1, offered.length - 1));
    else if (event.key === "ArrowUp") mark(Math.max(at - 1, known ? 0 : -1));
    else if (event.key === "Tab" && offered[Math.max(at, 0)] && !offered[Math.max(at, 0)].fresh && !event.shiftKey && !known) { input.value = offered[Math.max(at, 0)].name; complete(); }
    else return;
    event.preventDefault();
  };
  dialog.oncancel = (event) => { event.preventDefault(); finish(null); };
  $("namer-cancel").onclick = () => finish(null);
  dialog.querySelector("form").onsubmit = (event) => { event.preventDefault(); take(); };
  dialog.showModal();
  input.focus();
  complete();
  return new Promise((resolve) => { done = resolve; });
}

// The bar of the night, now and every few seconds.
export function watchProgress() {
  const refresh = async () => {
    if (document.hidden) return;
    try {
      const now = await call("/api/progress");
      const share = now.night_items ? now.night_judged / now.night_items : 0;
      $("night-fill").style.width = `${100 * share}%`;
      $("night-text").textContent = `${now.waiting.toLocaleString("en")} waiting · you ${now.mine_today.toLocaleString("en")} today`;
      $("night").title = now.night ? `${now.night_judged.toLocaleString("en")} of ${now.night_items.toLocaleString("en")} of the night ${now.night} judged` : "";
    } catch { /* the next one may come through; decisions say when the server is away */ }
  };
  refresh();
  setInterval(refresh, 8000);
}

// What a change records, in words; accepting records the item's own suggestion.
export const describe = (body, suggestion) => {
  const name = body.name ?? (body.verdict === "accept" ? suggestion : null);
  return name ? `${body.verdict}: ${name}` : body.verdict ?? "snoozed";
};

// What was chosen on the map, for the page that judges it: kept by the tab, so that it may be loaded again.
const CHOSEN = "clipomaly chosen on the map";
export const chosenOnMap = () => JSON.parse(sessionStorage.getItem(CHOSEN) ?? "[]");
export const keepChosen = (ids) => sessionStorage.setItem(CHOSEN, JSON.stringify(ids));

// A share in [0, 1] in words: never 0 or 100 where it is neither.
export const percent = (share) => {
  if (share > 0 && share < 0.01) return "under 1 %";
  if (share < 1 && share > 0.99) return "over 99 %";
  return `${Math.round(100 * share)} %`;
};

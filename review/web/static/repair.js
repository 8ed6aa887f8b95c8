// Repairing a mask: steps are kept as data, and the server shows what they give before anything is recorded.
import { $, call, callPicture, toast } from "./common.js";

const ONE_PLACE = ["keep", "drop"], DRAWN = ["box", "lasso", "erase"];

export function repairOf({ zoom, saved }) {
  let item = null, edits = [], tool = null, drawing = null, asked = 0;
  const canvas = $("draw"), bar = $("maskbar");

  function open(wanted) {
    item = wanted;
    edits = [];
    asked++;
    bar.hidden = false;
    canvas.hidden = true;
    choose("keep");
    $("mask-said").textContent = wanted.mask_state === "repaired" ? "This mask was repaired. More steps go on from there." : "";
    $("mask-keep").focus();
  }
  function close() {
    item = null;
    asked++;
    bar.hidden = true;
    canvas.hidden = true;
    $("mask").style.visibility = "";
    zoom.hold(false);
    document.body.classList.remove("drawing");
  }
  function choose(kind) {
    tool = kind;
    zoom.hold(true);
    document.body.classList.add("drawing");
    for (const button of bar.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === kind);
    $("mask-hint").textContent = {
      keep: "Click the part to keep. Enter keeps the part in the middle.",
      drop: "Click the part to drop. Enter drops the part in the middle.",
      box: "Draw a box around the object: what stands out in it becomes the mask. Enter takes a box around the middle.",
      lasso: "Draw around what is missing: it is added.",
      erase: "Draw around what is too much: it is taken away.",
    }[kind];
  }
  async function preview() {
    const mine = ++asked;
    $("mask-save").disabled = $("mask-back").disabled = edits.length === 0;
    if (!edits.length) {
      canvas.hidden = true;
      $("mask").style.visibility = "";
      return;
    }
    try {
      const picture = await callPicture(`/api/items/${item.item_id}/mask/preview`, { edits });
      if (mine !== asked) return;
      canvas.width = picture.width;
      canvas.height = picture.height;
      canvas.getContext("2d").drawImage(picture, 0, 0);
      canvas.hidden = false;
      $("mask").style.visibility = "hidden";
      $("mask-said").textContent = `${edits.length} step${edits.length === 1 ? "" : "s"}, not saved yet`;
    } catch (failure) {
      if (mine !== asked) return;
      toast(failure.message, "warning");
      edits.pop();
      preview();
    }
  }
  function add(kind, points = []) {
    if (!item) return;
    edits.push({ kind, points });
    preview();
  }
  async function save() {
    if (!edits.length) return;
    try {
      const answer = await call(`/api/items/${item.item_id}/mask/repair`, { edits });
      toast("The repaired mask is kept beside the scan's.");
      close();
      saved(answer);
    } catch (failure) {
      toast(failure.message, "warning");
    }
  }

  // Places on the picture, from 0 to 1, whatever its size and zoom.
  const place = (event) => {
    const seen = $("picture").getBoundingClientRect();
    const inside = (value) => Math.max(0, Math.min(1, value));
    return [inside((event.clientX - seen.left) / seen.width), inside((event.clientY - seen.top) / seen.height)];
  };
  const trace = () => {
    const sketch = $("sketch"), pen = sketch.getContext("2d");
    sketch.width = $("picture").offsetWidth;
    sketch.height = $("picture").offsetHeight;
    sketch.hidden = !drawing;
    if (!drawing) return;
    pen.strokeStyle = "#00e5ff";
    pen.lineWidth = 2;
    pen.beginPath();
    const at = drawing.map(([x, y]) => [x * sketch.width, y * sketch.height]);
    if (tool === "box") {
      const [one, other] = [at[0], at[at.length - 1]];
      pen.rect(one[0], one[1], other[0] - one[0], other[1] - one[1]);
    } else at.forEach(([x, y], number) => (number ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.stroke();
  };
  $("picture").addEventListener("pointerdown", (event) => {
    if (!item || event.button !== 0 || !event.isPrimary) return;
    if (DRAWN.includes(tool)) { drawing = [place(event)]; $("picture").setPointerCapture(event.pointerId); }
  });
  $("picture").addEventListener("pointermove", (event) => {
    if (!drawing || !event.isPrimary) return;
    const last = drawing[drawing.length - 1], now = place(event);
    if (Math.hypot(now[0] - last[0], now[1] - last[1]) > 0.004 && drawing.length < 390) drawing.push(now);
    trace();
  });
  $("picture").addEventListener("pointerup", (event) => {
    if (!item || !event.isPrimary) return;
    if (ONE_PLACE.includes(tool)) return add(tool, [place(event)]);
    const drawn = drawing;
    drawing = null;
    trace();
    if (!drawn) return;
    if (tool === "box") drawn.length > 1 ? add("box", [drawn[0], drawn[drawn.length - 1]]) : null;
    else if (drawn.length >= 3) add(tool, drawn);
  });
  for (const button of bar.querySelectorAll("[data-tool]")) button.addEventListener("click", () => choose(button.dataset.tool));
  for (const button of bar.querySelectorAll("[data-step]")) button.addEventListener("click", () => add(button.dataset.step));
  $("mask-back").addEventListener("click", () => { edits.pop(); preview(); });
  $("mask-save").addEventListener("click", save);
  $("mask-cancel").addEventListener("click", close);
  bar.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && event.target.dataset.tool) {
      // With the keyboard alone: the tool at the middle of the picture.
      choose(event.target.dataset.tool);
      if (ONE_PLACE.includes(tool)) add(tool, [[0.5, 0.5]]);
      else if (tool === "box") add("box", [[0.2, 0.2], [0.8, 0.8]]);
      else return;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { open, close, get on() { return Boolean(item); } };
}

// What was found becomes items of the queue, or a group to judge together.
import { call, toast } from "./common.js";

const form = document.getElementById("finds");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const items = new FormData(form).getAll("item");
  if (!items.length) return toast("Choose at least one.", "warning");
  const group = event.submitter?.dataset.group === "true";
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  try {
    const done = await call("/api/finds", { items, group });
    if (group && done.added) location.href = `/grid?cluster=${encodeURIComponent(done.cluster)}`;
    else toast(`${done.added} added to the queue${done.lost ? `, ${done.lost} cannot be shown any more` : ""}`);
  } catch (failure) {
    toast(failure.message, "warning");
  }
  for (const button of form.querySelectorAll("button")) button.disabled = false;
});
document.getElementById("finds-all")?.addEventListener("click", () => {
  const boxes = [...form.querySelectorAll("input[name=item]:not(:disabled)")];
  const on = boxes.some((box) => !box.checked);
  for (const box of boxes) box.checked = on;
});

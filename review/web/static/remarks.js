// What is said beside a verdict: of the mask, and in words.
import { $, call, closeDialog, toast } from "./common.js";

export async function flagMask(entry, state, renewed) {
  if (!entry) return;
  const wanted = entry.item.mask_state === state ? null : state;
  try {
    renewed(await call(`/api/items/${entry.item.item_id}/mask`, { state: wanted }));
    toast(wanted ? `Recorded: the mask ${wanted === "right" ? "fits" : "is wrong"}` : "Taken back: what was said of the mask");
  } catch (failure) {
    toast(failure.message, "warning");
  }
}

export function comment(entry) {
  if (!entry) return;
  const dialog = $("noter"), text = $("noter-text");
  text.value = "";
  dialog.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    try {
      await call(`/api/items/${entry.item.item_id}/comment`, { note: text.value });
      closeDialog(dialog, text);
      toast("The comment is kept.");
    } catch (failure) {
      toast(failure.message, "warning");
    }
  };
  $("noter-cancel").onclick = () => closeDialog(dialog, text);
  dialog.showModal();
  text.focus();
}

export function sayEmpty(filters) {
  const narrowed = Object.keys(filters).length > 0;
  const title = document.createElement("h2"), text = document.createElement("p"), link = document.createElement("a");
  title.textContent = narrowed ? "Nothing waits under these filters" : "All done";
  text.textContent = narrowed ? "Others may hold the rest, or it is judged." : "Nothing waits for you. What others hold comes back if they leave it.";
  link.href = narrowed ? "/" : "/progress";
  link.textContent = narrowed ? "Clear the filters" : "See the progress";
  link.className = "button";
  $("empty").replaceChildren(title, text, link);
}

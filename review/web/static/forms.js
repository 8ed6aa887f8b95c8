// The pages to read: comments and reasons, and decisions that are taken back together.
import { call, toast } from "./common.js";

for (const form of document.querySelectorAll("form.note")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const action = event.submitter?.dataset.action ?? "comment";
    const note = form.elements.note.value.trim();
    if (!note && action !== "second") return toast("Write why, then press the button again.", "warning");
    try {
      await call(`/api/items/${form.dataset.item}/${action}`, action === "second" ? {} : { note });
      location.reload();
    } catch (failure) {
      toast(failure.message, "warning");
    }
  });
}

document.getElementById("take-back")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const items = new FormData(event.target).getAll("item");
  if (!items.length) return toast("Choose at least one.", "warning");
  try {
    const back = await call("/api/undo-items", { items });
    toast(`Taken back: ${back.items.length}`);
    setTimeout(() => location.reload(), 700);
  } catch (failure) {
    toast(failure.message, "warning");
  }
});

// Five seconds before and after, half a second apart: frames are asked for when somebody wants to see them move.
import { $, fromArchive } from "./common.js";

const STEPS = 10; // half-seconds to each side

export function motionOf() {
  let item = null, pictures = new Map(), at = 0, timer = null;

  function open(wanted) {
    if (item === wanted) return;
    close();
    item = wanted;
    $("motion").hidden = false;
    // From the middle outwards, so that something moves soon.
    const order = [0];
    for (let step = 1; step <= STEPS; step++) order.push(step, -step);
    fromArchive(order.map((step) => {
      const image = new Image();
      const one = { image, here: false, gone: false };
      const settled = (what) => { one[what] = true; if (item === wanted) { if (step === at) show(at); told(); } };
      image.addEventListener("load", () => settled("here"));
      image.addEventListener("error", () => settled("gone"));
      pictures.set(step, one);
      return { image, source: `/items/${wanted.item_id}/motion/${step}.jpg`, wanted: () => item === wanted };
    }), { soon: true });
    show(0);
    play();
  }

  function close() {
    stop();
    item = null;
    pictures = new Map();
    $("motion").hidden = true;
    $("motion-frame").removeAttribute("src");
  }

  const told = () => {
    const all = [...pictures.values()];
    const gone = all.filter((one) => one.gone).length, here = all.filter((one) => one.here).length;
    $("motion-told").textContent = gone === all.length ? "The archive has none of these frames." : here + gone < all.length ? `${here} of ${all.length} frames are here` : gone ? "The footage begins or ends within these seconds." : "";
  };

  function show(step) {
    at = step;
    $("motion-range").value = step;
    $("motion-at").textContent = step === 0 ? "the frame shown" : `${step < 0 ? "−" : "+"}${Math.abs(step / 2).toFixed(1)} s`;
    const wanted = pictures.get(step);
    if (wanted?.here) $("motion-frame").src = wanted.image.src;
    $("motion-frame").alt = `The whole frame, ${$("motion-at").textContent}`;
  }

  function step(by) {
    if (!item) return;
    for (let next = at + by; Math.abs(next) <= STEPS; next += by) if (pictures.get(next)?.here) return show(next);
  }

  function play() {
    stop();
    $("motion-play").textContent = "Pause";
    $("motion-play").setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      const here = [...pictures].filter(([, one]) => one.here).map(([step]) => step).sort((one, other) => one - other);
      if (here.length > 1) show(here.find((step) => step > at) ?? here[0]);
    }, 250);
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    $("motion-play").textContent = "Play";
    $("motion-play").setAttribute("aria-pressed", "false");
  }

  $("motion-range").addEventListener("input", (event) => { stop(); show(Number(event.target.value)); });
  $("motion-play").addEventListener("click", () => (timer ? stop() : play()));
  $("motion-close").addEventListener("click", close);
  return { open, close, step: (by) => { stop(); step(by); }, toggle: (wanted) => (item === wanted ? close() : open(wanted)), get on() { return Boolean(item); } };
}

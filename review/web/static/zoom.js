// A picture that can be enlarged and moved: wheel, pinch, double click, drag, and keys.
const MOST = 8;

export function zoomable(stage, picture) {
  let scale = 1, x = 0, y = 0;
  const fingers = new Map();
  let spread = 0;
  let still = false; // while somebody draws on the picture

  const draw = () => {
    picture.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
    stage.classList.toggle("zoomed", scale > 1);
    stage.dispatchEvent(new CustomEvent("zoomed", { detail: scale }));
  };
  const limit = () => {
    const room = [picture.offsetWidth, picture.offsetHeight].map((length) => (length * (scale - 1)) / 2);
    x = Math.max(-room[0], Math.min(room[0], x));
    y = Math.max(-room[1], Math.min(room[1], y));
  };
  // Keeps the point under (clientX, clientY) where it is.
  const zoomTo = (wanted, clientX, clientY) => {
    const next = Math.max(1, Math.min(MOST, wanted));
    const seen = picture.getBoundingClientRect();
    const fromMiddle = [clientX - (seen.left + seen.width / 2), clientY - (seen.top + seen.height / 2)];
    x += fromMiddle[0] * (1 - next / scale);
    y += fromMiddle[1] * (1 - next / scale);
    scale = next;
    limit();
    draw();
  };
  const middle = () => {
    const seen = stage.getBoundingClientRect();
    return [seen.left + seen.width / 2, seen.top + seen.height / 2];
  };

  stage.addEventListener("wheel", (event) => {
    if (event.target.closest(".stage-tools, .maskbar, .motion")) return;
    event.preventDefault();
    zoomTo(scale * Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
  }, { passive: false });
  picture.addEventListener("dblclick", (event) => {
    if (still) return;
    if (scale > 1) reset();
    else zoomTo(3, event.clientX, event.clientY);
  });
  picture.addEventListener("pointerdown", (event) => {
    if (still && event.pointerType !== "touch") return;
    fingers.set(event.pointerId, event);
    if (scale > 1 || fingers.size > 1) picture.setPointerCapture(event.pointerId);
    spread = 0;
  });
  picture.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    fingers.set(event.pointerId, event);
    if (fingers.size === 2) {
      const [one, other] = [...fingers.values()];
      const apart = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      if (spread) zoomTo((scale * apart) / spread, (one.clientX + other.clientX) / 2, (one.clientY + other.clientY) / 2);
      spread = apart;
    } else if (scale > 1 && !still) {
      x += event.clientX - before.clientX;
      y += event.clientY - before.clientY;
      limit();
      draw();
    }
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    picture.addEventListener(end, (event) => { fingers.delete(event.pointerId); spread = 0; });
  }
  picture.addEventListener("dragstart", (event) => event.preventDefault());

  function reset() {
    scale = 1;
    x = y = 0;
    draw();
  }
  return {
    reset,
    hold: (on) => { still = on; },
    by: (factor) => zoomTo(scale * factor, ...middle()),
    pan: (right, down) => {
      if (scale === 1) return false;
      x -= right * 60;
      y -= down * 60;
      limit();
      draw();
      return true;
    },
  };
}

// Points on a canvas: drawn, moved, enlarged, looked at and encircled. What they mean, the page knows.
const SPRITES = 4000; // up to this many points in view are drawn smooth, more of them pixel by pixel
const MOST = 200; // times enlarged
const NEAR = { mouse: 12, pen: 16, touch: 24 }; // pixels within which a pointer means a point

// points: {x, y} Float32Arrays. hooks: look(index, pinned), pinned(), encircled(indices), moved(), lassoing(on).
export function scatter(canvas, over, points, hooks) {
  const count = points.x.length, pen = canvas.getContext("2d"), above = over.getContext("2d");
  const east = points.x.reduce((most, x) => Math.max(most, x), 1), south = points.y.reduce((most, y) => Math.max(most, y), 1);
  let width = 0, height = 0, dense = 1;
  let zoom = 1, left = 0, top = 0, fit = 1; // a point lies at (x * fit * zoom + left, y * fit * zoom + top)
  let colours = [], of = new Uint8Array(count), faint = null, chosen = new Uint8Array(count);
  let image = null, waiting = false, ring = null, looked = -1;

  const at = (index) => [points.x[index] * fit * zoom + left, points.y[index] * fit * zoom + top];
  const radius = () => Math.max(1.2, Math.min(7, zoom * Math.sqrt((width * height) / (13 * Math.max(count, 1)))));

  function resize() {
    dense = devicePixelRatio || 1;
    const middle = width ? [(width / 2 - left) / (fit * zoom), (height / 2 - top) / (fit * zoom)] : null;
    [width, height] = [canvas.clientWidth, canvas.clientHeight];
    for (const layer of [canvas, over]) [layer.width, layer.height] = [Math.round(width * dense), Math.round(height * dense)];
    image = null;
    fit = Math.min((width - 40) / east, (height - 40) / south);
    if (!middle || zoom === 1) return home();
    left = width / 2 - middle[0] * fit * zoom;
    top = height / 2 - middle[1] * fit * zoom;
    draw();
  }

  // Where everything is seen, in the middle.
  function home() {
    zoom = 1;
    left = (width - east * fit) / 2;
    top = (height - south * fit) / 2;
    draw();
  }

  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (!width) return;
      const began = performance.now();
      paint();
      paintAbove();
      performance.clearMeasures("map drawn");
      performance.measure("map drawn", { start: began, end: performance.now() });
    });
  }

  // First what is faint, then the others, then what is chosen: the important lies on top.
  const layers = new Uint8Array(count).fill(1);
  let used = [false, true, false];
  function layer() {
    used = [false, false, false];
    for (let index = 0; index < count; index++) used[(layers[index] = chosen[index] ? 2 : faint?.[index] ? 0 : 1)] = true;
    draw();
  }

  function paint() {
    const size = radius(), seen = [];
    let many = false;
    const by = fit * zoom;
    for (let index = 0; index < count && !many; index++) {
      const x = points.x[index] * by + left, y = points.y[index] * by + top;
      if (x > -size && y > -size && x < width + size && y < height + size) seen.push(index);
      many = seen.length > SPRITES;
    }
    if (many) paintPixels(size);
    else paintSprites(seen, size);
  }

  function paintPixels(size) {
    image ??= pen.createImageData(canvas.width, canvas.height);
    const cells = new Uint32Array(image.data.buffer), wide = canvas.width, high = canvas.height;
    cells.fill(0);
    const reach = Math.max(1, Math.round(size * dense)), disc = [];
    for (let down = -reach; down <= reach; down++) {
      const half = Math.floor(Math.sqrt(Math.max(0, (size * dense) ** 2 - down * down)));
      disc.push([down * wide - half, down * wide + half]);
    }
    const by = fit * zoom * dense, toLeft = left * dense, toTop = top * dense;
    for (let turn = 0; turn < 3; turn++) {
      for (let index = 0; used[turn] && index < count; index++) {
        if (layers[index] !== turn) continue;
        const x = Math.round(points.x[index] * by + toLeft), y = Math.round(points.y[index] * by + toTop);
        if (x < reach || y < reach || x >= wide - reach || y >= high - reach) continue;
        const colour = turn === 2 ? colours.chosen.number : turn ? colours[of[index]].number : colours.faint.number, middle = y * wide + x;
        for (const [from, to] of disc) cells.fill(colour, middle + from, middle + to + 1);
      }
    }
    pen.putImageData(image, 0, 0);
  }

  function paintSprites(seen, size) {
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, width, height);
    const stamps = new Map();
    const stamp = (colour, wide) => {
      if (!stamps.has(colour)) {
        const side = Math.ceil((wide + 2) * 2 * dense), drawn = new OffscreenCanvas(side, side), ink = drawn.getContext("2d");
        ink.beginPath();
        ink.arc(side / 2, side / 2, wide * dense, 0, 7);
        ink.fillStyle = colour.text;
        ink.fill();
        ink.lineWidth = dense;
        ink.strokeStyle = colours.ground.text; // parts it from its neighbours
        ink.stroke();
        stamps.set(colour, [drawn, side / dense]);
      }
      return stamps.get(colour);
    };
    for (let turn = 0; turn < 3; turn++) {
      for (let place = seen.length - 1; place >= 0; place--) {
        const index = seen[place];
        if (layers[index] !== turn) continue;
        const [x, y] = at(index);
        const [drawn, side] = turn === 2 ? stamp(colours.chosen, size + 1.5) : stamp(turn ? colours[of[index]] : colours.faint, size);
        pen.drawImage(drawn, x - side / 2, y - side / 2, side, side);
      }
    }
  }

  let path = null; // of the lasso, [x, y]s
  function paintAbove() {
    above.setTransform(dense, 0, 0, dense, 0, 0);
    above.clearRect(0, 0, width, height);
    const line = (dash, closed) => {
      if (closed) above.closePath();
      for (const [colour, wide] of [[colours.ground.text, 4], [colours.chosen.text, 2]]) {
        above.setLineDash(dash);
        above.lineWidth = wide;
        above.strokeStyle = colour;
        above.stroke();
      }
    };
    if (path) {
      above.beginPath();
      path.forEach(([x, y], place) => (place ? above.lineTo(x, y) : above.moveTo(x, y)));
      line([6, 4], true);
    }
    if (ring) {
      above.beginPath();
      above.arc(ring.x, ring.y, ring.size, 0, 7);
      line([], true);
    }
    if (looked >= 0) {
      const [x, y] = at(looked);
      above.beginPath();
      above.arc(x, y, radius() + 4, 0, 7);
      line([], true);
    }
  }

  function nearest(x, y, within) {
    const by = fit * zoom;
    let found = -1, best = within * within;
    for (let index = 0; index < count; index++) {
      const apart = (points.x[index] * by + left - x) ** 2 + (points.y[index] * by + top - y) ** 2;
      if (apart < best) {
        found = index;
        best = apart;
      }
    }
    return found;
  }

  function look(index, pinned) {
    looked = index;
    draw();
    hooks.look(index, pinned);
  }

  function zoomTo(wanted, x, y) {
    const next = Math.max(0.5, Math.min(MOST, wanted));
    left = x - (x - left) * (next / zoom);
    top = y - (y - top) * (next / zoom);
    zoom = next;
    hooks.moved();
    draw();
  }

  function within(polygon) {
    const xs = polygon.map(([x]) => x), ys = polygon.map(([, y]) => y);
    const [west, east, north, south] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const found = [];
    for (let index = 0; index < count; index++) {
      const [x, y] = at(index);
      if (x < west || x > east || y < north || y > south) continue;
      let inside = false;
      for (let one = 0, other = polygon.length - 1; one < polygon.length; other = one++) {
        const [x1, y1] = polygon[one], [x2, y2] = polygon[other];
        if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
      }
      if (inside) found.push(index);
    }
    return found;
  }

  // Pointers: one moves the map or draws the lasso, two enlarge; a short touch means the point under it.
  let lasso = false, begun = null, spread = 0;
  const fingers = new Map();
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  function setLasso(on) {
    lasso = on;
    path = null;
    canvas.classList.toggle("lassoing", on);
    hooks.lassoing(on);
    draw();
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    fingers.set(event.pointerId, place(event));
    canvas.setPointerCapture(event.pointerId);
    spread = 0;
    ring = null;
    begun = fingers.size === 1 ? { at: place(event), moved: false } : null;
    path = fingers.size === 1 && (lasso || event.shiftKey) ? [place(event)] : null;
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = place(event), before = fingers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse" && !hooks.pinned()) {
        const index = nearest(...here, NEAR.mouse);
        if (index !== looked) look(index, false);
      }
      return;
    }
    fingers.set(event.pointerId, here);
    if (fingers.size === 2) {
      const [one, other] = [...fingers.values()], apart = Math.hypot(one[0] - other[0], one[1] - other[1]);
      if (spread) zoomTo((zoom * apart) / spread, (one[0] + other[0]) / 2, (one[1] + other[1]) / 2);
      spread = apart;
      return;
    }
    if (begun && Math.hypot(here[0] - begun.at[0], here[1] - begun.at[1]) > 5) begun.moved = true;
    if (path) {
      const last = path.at(-1);
      if (Math.hypot(here[0] - last[0], here[1] - last[1]) > 3) path.push(here);
      draw();
    } else if (begun?.moved) {
      pan(here[0] - before[0], here[1] - before[1]);
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!fingers.delete(event.pointerId) || fingers.size) return;
    const drawn = path;
    path = null;
    if (drawn && drawn.length > 2) {
      setLasso(false);
      hooks.encircled(within(drawn));
    } else if (begun && !begun.moved) {
      look(nearest(...place(event), NEAR[event.pointerType] ?? NEAR.mouse), true);
    }
    begun = null;
    draw();
  });
  canvas.addEventListener("pointercancel", (event) => { fingers.delete(event.pointerId); path = begun = null; draw(); });
  canvas.addEventListener("pointerleave", () => { if (looked >= 0 && !hooks.pinned()) look(-1, false); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomTo(zoom * Math.exp(-event.deltaY / 300), ...place(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoomTo(zoom * 2, ...place(event)));

  function pan(right, down) {
    left += right;
    top += down;
    hooks.moved();
    draw();
  }

  // The ring is the pointer of those who have only keys: it goes in steps of its size and takes the map along.
  function moveRing(right, down) {
    ring ??= { x: width / 2, y: height / 2, size: 40 };
    ring.x += right * ring.size;
    ring.y += down * ring.size;
    const out = [Math.min(0, ring.x) + Math.max(0, ring.x - width), Math.min(0, ring.y) + Math.max(0, ring.y - height)];
    ring.x -= out[0];
    ring.y -= out[1];
    pan(-out[0], -out[1]);
    return lookInRing();
  }
  function lookInRing() {
    look(nearest(ring.x, ring.y, ring.size), true);
    return inRing();
  }
  function inRing() {
    const found = [];
    for (let index = 0; ring && index < count; index++) {
      const [x, y] = at(index);
      if ((x - ring.x) ** 2 + (y - ring.y) ** 2 <= ring.size ** 2) found.push(index);
    }
    return found;
  }

  new ResizeObserver(resize).observe(canvas);
  return {
    paintWith: (wanted, groups) => { [colours, of] = [wanted, groups]; draw(); },
    only: (mask) => { faint = mask; layer(); },
    choose: (mask) => { chosen = mask; layer(); },
    zoomBy: (factor) => zoomTo(zoom * factor, ring?.x ?? width / 2, ring?.y ?? height / 2),
    place: (index) => ({ at: at(index), free: ring ? [ring.x - ring.size, ring.x + ring.size] : null }),
    look,
    home: () => { home(); hooks.moved(); },
    pan,
    lasso: () => setLasso(!lasso),
    get lassoing() { return lasso; },
    moveRing,
    inRing,
    sizeRing: (factor) => {
      if (!ring) return moveRing(0, 0);
      ring.size = Math.max(10, Math.min(Math.hypot(width, height) / 2, ring.size * factor));
      draw();
      return lookInRing();
    },
  };
}

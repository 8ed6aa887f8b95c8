// What is wrong with a page: contrast as WCAG 2 counts it, for texts on plain colours, and the names and sizes
// of what can be pressed. An expression for page.evaluate.
() => {
  const problems = [];
  const seen = (node) => node.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true });

  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const numbers = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    const [red, green, blue] = colour.slice(0, 3).map(linear);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  // The colour behind a text, or null where that is a picture or not opaque.
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const style = getComputedStyle(node);
      if (style.backgroundImage !== "none") return null;
      const colour = numbers(style.backgroundColor);
      if (colour[3] === 255) return colour;
      if (colour[3]) return null;
    }
    return [255, 255, 255, 255];
  };

  const root = document.querySelector("dialog[open]") ?? document.body;
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim();
    const node = texts.currentNode.parentElement;
    if (!text || !seen(node) || node.closest("script, option, .unseen, .skip, kbd, :disabled, .tile, .names")) continue;
    const ground = behind(node);
    if (!ground) continue;
    const [low, high] = [light(numbers(getComputedStyle(node).color)), light(ground)].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) problems.push(`${text.slice(0, 30)}: contrast ${contrast.toFixed(2)}`);
  }

  for (const node of document.querySelectorAll("button, a, input:not([type=hidden]), select")) {
    if (!seen(node) || node.closest(".unseen, .skip")) continue;
    const labelled = node.getAttribute("aria-label") || node.getAttribute("aria-labelledby") || node.labels?.length;
    if (!labelled && !node.innerText?.trim() && !node.querySelector("img[alt]")) {
      problems.push(`${node.outerHTML.slice(0, 60)}: no name`);
    }
    const height = node.getBoundingClientRect().height;
    if (node.tagName === "BUTTON" && !node.matches(".link") && height < 31) {
      problems.push(`${node.innerText}: ${height} px high`);
    }
  }
  return problems;
}

// A figure as a file: SVG with all colours written out, PNG at twice the size.

const GAP = 16;
const CAPTION = 22;

// All panels of a figure below and beside each other, as they lie on the page.
const pictureOf = (views) => {
  const colours = getComputedStyle(document.documentElement);
  const boxes = views.map((view) => view.element.getBoundingClientRect());
  const left = Math.min(...boxes.map((box) => box.left));
  const top = Math.min(...boxes.map((box) => box.top));
  const width = Math.max(...boxes.map((box) => box.right)) - left + 2 * GAP;
  const height = Math.max(...boxes.map((box) => box.bottom)) - top + 2 * GAP;
  const parts = views.map((view, index) => {
    const own = view.parts.svg.cloneNode(true);
    own.querySelectorAll(".handle").forEach((handle) => {
      handle.innerHTML = `<circle r="7" fill="${handle.style.getPropertyValue("--handle")}"/>`;
      handle.removeAttribute("style");
    });
    own.querySelectorAll("[tabindex], [role]").forEach((each) => {
      ["tabindex", "role", "aria-label", "aria-valuetext", "aria-valuenow"].forEach((name) => each.removeAttribute(name));
    });
    const place = view.parts.svg.getBoundingClientRect();
    own.setAttribute("x", round(place.left - left + GAP));
    own.setAttribute("y", round(place.top - top + GAP));
    own.removeAttribute("role");
    const words = view.parts.title.textContent;
    const caption = words === "" ? "" : `<text x="${round(boxes[index].left - left + GAP)}"` +
      ` y="${round(boxes[index].top - top + GAP + 14)}" font-size="14" font-weight="600"` +
      ` fill="var(--ink)">${escaped(words)}</text>`;
    return caption + new XMLSerializer().serializeToString(own);
  });
  const whole = `<svg xmlns="${SVG}" width="${round(width)}" height="${round(height)}"` +
    ` viewBox="0 0 ${round(width)} ${round(height)}" font-family="system-ui, sans-serif">` +
    `<rect width="100%" height="100%" fill="var(--page)"/>${parts.join("")}</svg>`;
  return { width, height, text: whole.replace(/var\((--[\w-]+)\)/g, (_, name) => colours.getPropertyValue(name).trim()) };
};

const download = (name, address) => {
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
};

const saveSvg = (name, views) =>
  download(`${name}.svg`, `data:image/svg+xml;charset=utf-8,${encodeURIComponent(pictureOf(views).text)}`);

const savePng = (name, views) => {
  const { text: source, width, height } = pictureOf(views);
  const image = new Image();
  image.addEventListener("load", () => {
    const canvas = element("canvas", { width: Math.round(2 * width), height: Math.round(2 * height) });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    download(`${name}.png`, canvas.toDataURL("image/png"));
  });
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
};

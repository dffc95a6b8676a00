// A panel: axes, marks and handles as data become SVG. Colours are the style sheet's variables, so that light and dark
// need no drawing; `pictureOf` writes them out for export.

const MARGIN = { left: 52, right: 14, top: 12, bottom: 40 };
// How much narrower than its place a panel becomes at most.
const SLIMMEST = 0.7;
const SVG = "http://www.w3.org/2000/svg";

const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const round = (value) => Math.round(value * 100) / 100;
const ink = (colour) => (colour.startsWith("--") ? `var(${colour})` : colour);

// A panel as it lies on the screen: its axes' scales, and its size in pixels. ``most``: its height, at most; it keeps its
// form, and so becomes narrower too.
const laidOut = (panel, room, most = Infinity) => {
  const bare = panel.bare ?? false;
  // `left`: room for the names of rows.
  const margin = bare ? { left: 8, right: 8, top: 8, bottom: 8 } : { ...MARGIN, left: panel.left ?? MARGIN.left };
  const names = namesOf(panel.legend ?? [], room);
  const above = names.length ? 18 * (names.at(-1).row + 1) : 0;
  const wanted = Math.max(panel.least ?? 0, Math.round(room * (panel.ratio ?? 0.64)));
  const allowed = Math.min(wanted, Math.round(most - above));
  const width = Math.round(room * Math.max(SLIMMEST, allowed / wanted));
  const height = allowed + above;
  const top = margin.top + above;
  return {
    width, height, bare, names,
    box: { left: margin.left, right: width - margin.right, top, bottom: height - margin.bottom },
    x: scaleOf(panel.x, margin.left, width - margin.right),
    y: scaleOf(panel.y, height - margin.bottom, top),
  };
};

// A legend, [name, colour, dash, width, opacity] each: as many in a row above the panel as there is room for.
const namesOf = (legend, room) => {
  let [x, row] = [0, 0];
  return legend.map(([name, colour, dash, width, opacity]) => {
    const needed = 32 + 7.8 * name.length;
    if (x > 0 && x + needed > room) [x, row] = [0, row + 1];
    const found = { name, colour, dash, width, opacity, x, row };
    x += needed + 12;
    return found;
  });
};

const nameText = ({ name, colour, dash, width, opacity, x, row }) =>
  `<path d="M${x + 1} ${18 * row + 9}H${x + 25}" stroke="${ink(colour)}" stroke-width="${width ?? 2}"` +
  ` opacity="${opacity ?? 1}"${dash ? ` stroke-dasharray="${dash}"` : ""}/>` +
  `<text x="${x + 31}" y="${18 * row + 13}" font-size="12" fill="var(--ink)">${escaped(name)}</text>`;

// The outline of what is filled.
const outlineOf = (xs, ys, at) => {
  const points = upTo(xs.length).filter((i) => Number.isFinite(xs[i]) && Number.isFinite(ys[i]))
    .map((i) => `${round(at.x.place(xs[i]))} ${round(at.y.place(ys[i]))}`);
  return points.length ? `M${points.join("L")}Z` : "";
};

// From where to where a segment is in a box, as shares of its length; null if nowhere (Liang & Barsky 1984).
const shownPart = (x0, y0, x1, y1, { left, right, top, bottom }) => {
  let [from, to] = [0, 1];
  const sides = [[x0 - x1, x0 - left], [x1 - x0, right - x0], [y0 - y1, y0 - top], [y1 - y0, bottom - y0]];
  for (const [out, room] of sides) {
    if (out === 0 && room < 0) return null;
    if (out < 0) from = Math.max(from, room / out);
    if (out > 0) to = Math.min(to, room / out);
  }
  return from <= to ? [from, to] : null;
};

// A line's path, only where it is seen: dashes of lines that leave the panel by far would keep a browser busy.
const strokeOf = (xs, ys, at) => {
  const seen = { left: at.box.left - 20, right: at.box.right + 20, top: at.box.top - 20, bottom: at.box.bottom + 20 };
  let text = "";
  let last = null;
  let drawing = false;
  for (let i = 0; i < xs.length; i += 1) {
    const known = Number.isFinite(xs[i]) && Number.isFinite(ys[i]);
    const next = known ? [at.x.place(xs[i]), at.y.place(ys[i])] : null;
    const part = last && next ? shownPart(...last, ...next, seen) : null;
    if (part) {
      const between = (share) => [0, 1].map((k) => round(last[k] + share * (next[k] - last[k]))).join(" ");
      if (!drawing || part[0] > 0) text += `M${between(part[0])}`;
      text += `L${between(part[1])}`;
    }
    drawing = part !== null && part[1] === 1;
    last = next;
  }
  return text;
};

const MARKS = {
  line: (m, at) =>
    `<path d="${strokeOf(m.x, m.y, at)}" fill="none" stroke="${ink(m.colour)}" stroke-width="${m.width ?? 2}"` +
    ` stroke-linejoin="round" stroke-linecap="round"${m.dash ? ` stroke-dasharray="${m.dash}"` : ""}` +
    ` opacity="${m.opacity ?? 1}"/>`,
  // Lines of no length with round ends: hundreds of dots are one element.
  dots: (m, at) => {
    const d = upTo(m.x.length).filter((i) => Number.isFinite(m.x[i]) && Number.isFinite(m.y[i]))
      .map((i) => `M${round(at.x.place(m.x[i]))} ${round(at.y.place(m.y[i]))}h.01`).join("");
    const dotted = (colour, width) => `<path d="${d}" fill="none" stroke="${colour}" stroke-width="${width}"` +
      ` stroke-linecap="round" opacity="${m.opacity ?? 1}"/>`;
    const r = m.r ?? 3;
    return m.hollow
      ? dotted(ink(m.colour), 2 * r + 1.5) + dotted("var(--page)", 2 * r - 1.5) : dotted(ink(m.colour), 2 * r);
  },
  band: (m, at) =>
    `<path d="${outlineOf([...m.x, ...[...m.x].reverse()], [...m.high, ...[...m.low].reverse()], at)}"` +
    ` fill="${ink(m.colour)}" opacity="${m.opacity ?? 0.18}"/>`,
  rect: (m, at) => {
    const [x0, x1] = [at.x.place(m.x[0]), at.x.place(m.x[1])].sort((a, b) => a - b);
    const [y0, y1] = [at.y.place(m.y[0]), at.y.place(m.y[1])].sort((a, b) => a - b);
    return `<rect x="${round(x0)}" y="${round(y0)}" width="${round(x1 - x0)}" height="${round(y1 - y0)}"` +
      ` fill="${ink(m.colour)}" opacity="${m.opacity ?? 1}"${m.edge ? ` stroke="${ink(m.edge)}"` : ""}/>`;
  },
  arrow: (m, at) => {
    const [x0, y0, x1, y1] = [at.x.place(m.from[0]), at.y.place(m.from[1]), at.x.place(m.to[0]), at.y.place(m.to[1])];
    const length = Math.hypot(x1 - x0, y1 - y0);
    if (!(length > 0.5)) return "";
    const [ux, uy] = [(x1 - x0) / length, (y1 - y0) / length];
    const head = Math.min(11, length * 0.6);
    const [bx, by] = [x1 - ux * head, y1 - uy * head];
    const side = head * 0.45;
    const tip = [[x1, y1], [bx - uy * side, by + ux * side], [bx + uy * side, by - ux * side]]
      .map((p) => p.map(round).join(" ")).join("L");
    return `<path d="M${round(x0)} ${round(y0)}L${round(bx)} ${round(by)}" stroke="${ink(m.colour)}"` +
      ` stroke-width="${m.width ?? 2.5}"${m.dash ? ` stroke-dasharray="${m.dash}"` : ""} opacity="${m.opacity ?? 1}"/>` +
      `<path d="M${tip}Z" fill="${ink(m.colour)}" opacity="${m.opacity ?? 1}"/>`;
  },
  // A straight line across the panel, at one x or one y.
  across: (m, at) => {
    const { left, right, top, bottom } = at.box;
    const [x0, y0, x1, y1] = m.y === undefined
      ? [at.x.place(m.x), top, at.x.place(m.x), bottom] : [left, at.y.place(m.y), right, at.y.place(m.y)];
    return `<path d="M${round(x0)} ${round(y0)}L${round(x1)} ${round(y1)}" stroke="${ink(m.colour ?? "--quiet")}"` +
      ` stroke-width="${m.width ?? 1}" stroke-dasharray="${m.dash ?? "4 4"}"/>`;
  },
  text: (m, at) =>
    `<text x="${round(at.x.place(m.x) + (m.dx ?? 0))}" y="${round(at.y.place(m.y) + (m.dy ?? 0))}"` +
    ` text-anchor="${m.anchor ?? "start"}" font-size="${m.size ?? 13}" fill="${ink(m.colour ?? "--ink")}"` +
    `${m.bold ? ' font-weight="600"' : ""}>${escaped(m.text)}</text>`,
  contours: (m, at, panel) => {
    const found = contours(m.call, [panel.x.from, panel.x.to], [panel.y.from, panel.y.to], m.count);
    return found.map(({ lines }, index) => {
      const d = lines.map(([x0, y0, x1, y1]) =>
        `M${round(at.x.place(x0))} ${round(at.y.place(y0))}L${round(at.x.place(x1))} ${round(at.y.place(y1))}`).join("");
      return `<path d="${d}" fill="none" stroke="var(--contour)" opacity="${round(1 - (0.6 * index) / found.length)}"/>`;
    }).join("");
  },
};

// What stays as it is while something is dragged: the frame, ticks, words, level lines.
const groundOf = (panel, at) => {
  const { left, right, top, bottom } = at.box;
  const parts = at.names.map(nameText);
  if (!at.bare) {
    for (const value of ticksOf(panel.x, (right - left) / 70)) {
      const x = round(at.x.place(value));
      parts.push(`<path d="M${x} ${top}V${bottom}" stroke="var(--grid)"/>`);
      parts.push(text(x, bottom + 16, panel.x.name?.(value) ?? tickText(value, panel.x), "middle"));
    }
    for (const value of ticksOf(panel.y, (bottom - top) / 40)) {
      const y = round(at.y.place(value));
      parts.push(`<path d="M${left} ${y}H${right}" stroke="var(--grid)"/>`);
      parts.push(text(left - 7, y + 4, panel.y.name?.(value) ?? tickText(value, panel.y), "end"));
    }
    parts.push(text((left + right) / 2, bottom + 34, panel.xlabel ?? "", "middle"));
    if (panel.ylabel) {
      parts.push(`<g transform="translate(13 ${round((top + bottom) / 2)}) rotate(-90)">` +
        `${text(0, 0, panel.ylabel, "middle")}</g>`);
    }
  }
  return parts.join("");
};

const text = (x, y, words, anchor) =>
  words === "" ? "" : `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" font-size="12"` +
    ` fill="var(--quiet)">${escaped(words)}</text>`;

const tickText = (value, axis) => (axis.log ? powerText(value) : numberText(value));

const drawn = (marks, panel, at) => marks.map((mark) => MARKS[mark.kind](mark, at, panel)).join("");

let clips = 0;

// The place of one panel on the page. It keeps its elements, so that what is held stays held while the figure changes.
class PanelView {
  constructor(onMove, settle) {
    this.onMove = onMove;
    this.settle = settle;
    this.element = document.createElement("figure");
    this.element.className = "panel";
    clips += 1;
    const clip = `inside-${clips}`;
    this.element.innerHTML =
      `<figcaption></figcaption><svg xmlns="${SVG}" role="group" font-family="system-ui, sans-serif">` +
      `<defs><clipPath id="${clip}"><rect/></clipPath></defs>` +
      `<g class="picture" role="img"><g class="ground"></g><g clip-path="url(#${clip})">` +
      `<g class="under"></g><g class="marks"></g></g></g><g class="handles"></g></svg>`;
    const part = (name) => this.element.querySelector(name);
    this.parts = {
      title: part("figcaption"), svg: part("svg"), picture: part(".picture"), ground: part(".ground"),
      under: part(".under"), marks: part(".marks"), handles: part(".handles"), clip: part("clipPath rect"),
    };
    this.handles = [];
    this.groundKey = "";
  }

  // ``zoom``: how much larger than usual everything is; ``most``: how high it may be.
  draw(panel, width, { zoom = 1, most = Infinity } = {}) {
    this.panel = panel;
    this.at = laidOut(panel, Math.round(width / zoom), most / zoom);
    const { parts, at } = this;
    // The ground is drawn again only if it would look otherwise; `key` names what its level lines are of.
    const { x, y, xlabel, ylabel, title, legend, key: underKey } = panel;
    const key = JSON.stringify([x, y, xlabel, ylabel, title, legend, underKey, at.width, at.height, zoom, language()]);
    if (key !== this.groundKey) {
      this.groundKey = key;
      parts.svg.setAttribute("viewBox", `0 0 ${at.width} ${at.height}`);
      parts.svg.setAttribute("width", Math.round(at.width * zoom));
      parts.svg.setAttribute("height", Math.round(at.height * zoom));
      const { left, right, top, bottom } = at.box;
      Object.entries({ x: left, y: top, width: right - left, height: bottom - top })
        .forEach(([name, value]) => parts.clip.setAttribute(name, value));
      parts.title.textContent = panel.title ?? "";
      parts.ground.innerHTML = groundOf(panel, at);
      parts.under.innerHTML = drawn(panel.under ?? [], panel, at);
    }
    parts.marks.innerHTML = drawn(panel.marks, panel, at);
    parts.picture.setAttribute("aria-label", panel.alt ?? panel.title ?? "");
    this.place(panel.handles ?? []);
  }

  place(handles) {
    while (this.handles.length > handles.length) this.handles.pop().remove();
    while (this.handles.length < handles.length) this.handles.push(this.handle(this.handles.length));
    handles.forEach((handle, index) => {
      const element = this.handles[index];
      const [x, y] = [this.at.x.place(handle.at[0]), this.at.y.place(handle.at[1])].map(round);
      element.setAttribute("transform", `translate(${x} ${y})`);
      element.setAttribute("aria-label", handle.label);
      element.setAttribute("aria-valuetext", handle.at.map((value) => numberText(value)).join("; "));
      element.setAttribute("aria-valuenow", numberPlain(handle.at[0]));
      element.style.setProperty("--handle", ink(handle.colour ?? "--accent"));
    });
  }

  handle(index) {
    const element = document.createElementNS(SVG, "g");
    element.setAttribute("class", "handle");
    element.setAttribute("tabindex", "0");
    element.setAttribute("role", "slider");
    element.innerHTML = '<circle r="22" fill="transparent"/><circle class="knob" r="8" fill="var(--handle, var(--accent))"' +
      ' stroke="var(--page)" stroke-width="2"/>';
    this.parts.handles.append(element);
    const held = () => this.panel.handles[index];
    const move = (x, y) => {
      const { from, to } = this.panel.x;
      const [low, high] = [this.panel.y.from, this.panel.y.to];
      const inside = (value, a, b) => Math.max(Math.min(a, b), Math.min(Math.max(a, b), value));
      this.onMove(held().move(inside(x, from, to), inside(y, low, high)));
    };
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      element.focus();
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      if (!element.hasPointerCapture(event.pointerId)) return;
      const box = this.parts.svg.getBoundingClientRect();
      const scale = this.at.width / box.width;
      move(this.at.x.value((event.clientX - box.left) * scale), this.at.y.value((event.clientY - box.top) * scale));
    });
    element.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!way) return;
      event.preventDefault();
      this.settle(); // a second key within one frame goes on from the first
      const { at: [x, y], step } = held();
      // A handle may say how far a key takes it to the right and up, in the axes' own numbers.
      if (step) {
        const times = event.shiftKey ? 5 : 1;
        move(x + way[0] * step[0] * times, y - way[1] * step[1] * times);
        return;
      }
      const pixels = event.shiftKey ? 20 : 4;
      move(this.at.x.value(this.at.x.place(x) + way[0] * pixels), this.at.y.value(this.at.y.place(y) + way[1] * pixels));
    });
    return element;
  }
}

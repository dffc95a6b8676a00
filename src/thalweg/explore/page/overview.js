// The page's start: every figure, small, drawn by its own script; a few move.

const MOVING = ["momentum", "accumulator", "race", "explosion"];
const THUMB = 330;
// A moving picture is drawn so often, in turn, and takes so long for all of its steps and a rest.
const THUMB_MS = 40;
const TURN_MS = 9000;
const REST = 0.25;

// ``still``: nobody wants them to move, as the reader's system or the button has it.
const thumbs = {
  all: [], waiting: new Set(), seen: new Set(), frame: 0, last: 0, turn: 0, begun: 0, watch: null,
  still: matchMedia("(prefers-reduced-motion: reduce)").matches,
};

const overviewOf = () => `<button type="button" id="still"></button>${SECTIONS.map(({ title, names }) =>
  `<h2>${escaped(said(title))}</h2><div class="thumbs">${names.map((name) =>
    `<a href="#${name}" data-figure="${name}"><svg class="thumb" xmlns="${SVG}" aria-hidden="true"><g></g><g></g></svg>` +
    `<span>${escaped(said(figureOf(name).title))}</span></a>`).join("")}</div>`).join("")}`;

// The first panel of a figure, without its frame. Level lines stay as they are while it moves.
const drawThumb = ({ figure, svg }, state) => {
  const [first] = drawingOf(figure, state).panels;
  const panel = { ...first, bare: true, legend: [], least: first.ratio === 0 ? first.least : 0 };
  const at = laidOut(panel, THUMB);
  const [under, marks] = svg.children;
  if (!under.firstChild) {
    svg.setAttribute("viewBox", `0 0 ${at.width} ${at.height}`);
    under.innerHTML = drawn((panel.under ?? []).map((mark) => ({ ...mark, count: 8 })), panel, at);
  }
  marks.innerHTML = drawn(panel.marks, panel, at);
};

// One picture a frame at most: first those that have none, then the next that moves.
const turnThumbs = (now) => {
  thumbs.frame = requestAnimationFrame(turnThumbs);
  const [next] = thumbs.waiting;
  if (next) {
    thumbs.waiting.delete(next);
    drawThumb(next, startOf(next.figure));
    return;
  }
  const moving = [...thumbs.seen].filter(({ figure }) => MOVING.includes(figure.name));
  if (!moving.length || thumbs.still) { pauseThumbs(); return; }
  if (now - thumbs.last < THUMB_MS) return;
  thumbs.last = now;
  thumbs.turn += 1;
  const thumb = moving[thumbs.turn % moving.length];
  const start = startOf(thumb.figure);
  const share = Math.min(1, ((((now - thumbs.begun) / TURN_MS) % 1) * (1 + REST)));
  drawThumb(thumb, { ...start, steps: Math.round(share * start.steps) });
};

const pauseThumbs = () => {
  cancelAnimationFrame(thumbs.frame);
  thumbs.frame = 0;
};

const goOnWithThumbs = () => { if (!thumbs.frame) thumbs.frame = requestAnimationFrame(turnThumbs); };

const tellStill = () => { place("still").textContent = said(WORDS[thumbs.still ? "play" : "pause"]); };

const turnStill = () => {
  thumbs.still = !thumbs.still;
  tellStill();
  goOnWithThumbs();
};

// Pictures are drawn when they come into view.
const showOverview = () => {
  hideOverview();
  place("overview").innerHTML = overviewOf();
  place("still").addEventListener("click", turnStill);
  tellStill();
  thumbs.begun = performance.now();
  thumbs.watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const thumb = thumbs.all.find(({ svg }) => svg === target);
      if (!isIntersecting) { thumbs.seen.delete(thumb); thumbs.waiting.delete(thumb); continue; }
      thumbs.seen.add(thumb);
      if (!target.firstChild.firstChild && !target.lastChild.firstChild) thumbs.waiting.add(thumb);
    }
    goOnWithThumbs();
  }, { rootMargin: "100px" });
  thumbs.all = [...place("overview").querySelectorAll("a")].map((link) =>
    ({ figure: figureOf(link.dataset.figure), svg: link.querySelector("svg") }));
  thumbs.all.forEach(({ svg }) => thumbs.watch.observe(svg));
};

const hideOverview = () => {
  pauseThumbs();
  thumbs.watch?.disconnect();
  thumbs.waiting.clear();
  thumbs.seen.clear();
  place("overview").replaceChildren();
};

// The page: one figure at a time, its controls, its address.

const SCRIPTS = {};

// What each script of a figure calls: `draw(state)` gives panels and numbers as data, `python(state)` the program.
const figure = (name, script) => { SCRIPTS[name] = script; };

const wordsOf = (name) => said(current.figure.words[name]) || said(WORDS[name]);

const current = { figure: null, state: {}, theme: "", lang: "", views: [], controls: null, kept: new Map() };

const place = (id) => document.getElementById(id);

let waiting = 0;
let addressTimer = 0;
let spokenTimer = 0;

const change = (changes) => {
  current.state = withChanges(current.figure, current.state, changes);
  current.kept.set(current.figure.name, current.state);
  redraw();
};

// However many changes come, one drawing a frame.
const redraw = () => {
  if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; draw(); });
};

// What waits for the next frame, drawn now: for who goes on from where the last change has led.
const settle = () => {
  if (!waiting) return;
  cancelAnimationFrame(waiting);
  waiting = 0;
  draw();
};

const draw = () => {
  const { figure: shown, state, views } = current;
  const found = SCRIPTS[shown.name].draw(state);
  const panels = found.panels;
  while (views.length > panels.length) views.pop().element.remove();
  while (views.length < panels.length) {
    const view = new PanelView(change, settle);
    views.push(view);
    place("panels").append(view.element);
  }
  views.forEach((view, i) => view.element.classList.toggle("wide", panels[i].wide ?? false));
  views.forEach((view, i) => view.draw(panels[i], view.element.clientWidth));
  reachable();
  place("readout").innerHTML = found.table ? tableOf(found.table) : "";
  place("note").textContent = found.note ?? "";
  showText();
  current.controls.show(state, found.hidden);
  clearTimeout(addressTimer);
  // Browsers slow a page down that changes its address at every frame.
  addressTimer = setTimeout(remember, 250);
  clearTimeout(spokenTimer);
  spokenTimer = setTimeout(() => { place("spoken").textContent = found.note ?? ""; }, 700);
};

// The table is the legend: a dot of a colour, or a piece of a line.
const swatchOf = (look) => {
  if (!look) return "";
  if (typeof look === "string") return `<i class="swatch" style="background:${ink(look)}"></i>`;
  return `<svg class="swatch-line" width="24" height="8" aria-hidden="true"><path d="M0 4H24"` +
    ` stroke="${ink(look.colour)}" stroke-width="2.5" stroke-dasharray="${look.dash ?? "none"}"/></svg>`;
};

// Numbers as a table: heads, and rows of [name, colour or null or a line's {colour, dash}, ...cells].
const tableOf = ({ heads, rows }) =>
  `<table><thead><tr>${heads.map((head) => `<th scope="col">${escaped(head)}</th>`).join("")}</tr></thead><tbody>` +
  rows.map(([name, colour, ...cells]) =>
    `<tr><th scope="row">${swatchOf(colour)}${escaped(name)}</th>` +
    `${cells.map((cell) => `<td>${escaped(typeof cell === "number" ? numberText(cell) : cell)}</td>`).join("")}</tr>`)
    .join("") + "</tbody></table>";

const remember = () => {
  history.replaceState(null, "", addressOf(current.figure, current.state, { lang: current.lang, theme: current.theme }));
};

const formulasOf = ({ formulas }) =>
  formulas.map(({ title, mathml }) => `<section aria-label="${escaped(said(title))}"><h3>${escaped(said(title))}</h3>${said(mathml)}</section>`).join("");

// A formula that is wider than its place scrolls, also by keyboard.
const reachable = () => {
  document.querySelectorAll("#formulas section").forEach((each) => {
    if (each.scrollWidth > each.clientWidth) each.setAttribute("tabindex", "0"); else each.removeAttribute("tabindex");
  });
};

// Everything that depends on the figure or the language, but not on the state.
const show = () => {
  const { figure: shown } = current;
  document.documentElement.lang = language();
  document.documentElement.dataset.theme = current.theme;
  document.title = `${said(shown.title)} · thalweg`;
  document.querySelectorAll("[data-words]").forEach((each) => { each.textContent = said(WORDS[each.dataset.words]); });
  document.querySelectorAll("[data-label]").forEach((each) => {
    each.setAttribute("aria-label", said(WORDS[each.dataset.label]));
  });
  place("title").textContent = said(shown.title);
  place("see").textContent = said(shown.see);
  place("formulas").innerHTML = formulasOf(shown);
  place("claims-box").hidden = shown.claims.length === 0;
  place("claims-list").innerHTML = shown.claims.map(({ name, statement, verdict }) =>
    `<li><a href="${CLAIMS}#${name}?lang=${language()}">${escaped(said(statement))}</a> ${escaped(said(verdict))}</li>`).join("");
  place("formulas-box").hidden = shown.formulas.length === 0;
  place("play").hidden = !shown.controls.some((control) => control.name === "steps");
  place("menu").innerHTML = SECTIONS.map(({ title, names }) =>
    `<li><span>${escaped(said(title))}</span><ul>${names.map((name) => {
      const each = FIGURES.find((one) => one.name === name);
      const here = each === shown ? ' aria-current="page"' : "";
      return `<li><a href="#${name}"${here}>${escaped(said(each.title))}</a></li>`;
    }).join("")}</ul></li>`).join("");
  place("chooser").innerHTML = FIGURES.map((each) =>
    `<option value="${each.name}"${each === shown ? " selected" : ""}>${escaped(said(each.title))}</option>`).join("");
  document.querySelectorAll("[data-lang]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.lang === language()));
  });
  draw();
};

const open = ({ figure: next, state, lang, theme }) => {
  stop();
  playing.at = null;
  const same = current.figure === next;
  Object.assign(current, { figure: next, state, lang: lang || current.lang, theme: theme || current.theme });
  chosenLanguage = current.lang || (navigator.language.startsWith("fr") ? "fr" : "en");
  current.kept.set(next.name, state);
  if (!same) {
    current.controls = controlsOf(next, change);
    place("controls").replaceChildren(...current.controls.elements);
    current.views.splice(0).forEach((view) => view.element.remove());
    place("program-box").hidden = true;
  }
  show();
};

// To another figure, in the state in which it was left.
const go = (name) => {
  const next = FIGURES.find((each) => each.name === name);
  const state = current.kept.get(name) ?? startOf(next);
  const { lang, theme } = current;
  history.pushState(null, "", addressOf(next, state, { lang, theme }));
  open({ figure: next, state, lang, theme });
  scrollTo(0, 0);
};

const beside = (ways) => {
  const index = FIGURES.indexOf(current.figure) + ways;
  if (FIGURES[index]) go(FIGURES[index].name);
};

// -- playing: from the first step to as many as are chosen, with pauses

// ``at`` is where it was paused, on the way ``to`` the chosen steps; if somebody has chosen others since, these count.
const playing = { frame: 0, at: null, to: null };
const PLAY_S = 7;

const stop = () => {
  cancelAnimationFrame(playing.frame);
  playing.frame = 0;
  tell("play");
};

// What the button does next.
const tell = (word) => {
  place("play").dataset.words = word;
  place("play").textContent = said(WORDS[word]);
};

const play = () => {
  if (playing.frame) { playing.at = current.state.steps; stop(); return; }
  const paused = playing.at !== null && playing.at === current.state.steps;
  const { high } = current.figure.controls.find((control) => control.name === "steps");
  const from = paused ? playing.at : 0;
  const to = paused ? playing.to : current.state.steps || high;
  const begun = performance.now();
  Object.assign(playing, { at: null, to });
  tell("pause");
  const turn = (now) => {
    const steps = Math.min(to, from + Math.floor(((now - begun) / 1000) * (to / PLAY_S)));
    if (steps !== current.state.steps) change({ steps });
    if (steps >= to) stop(); else playing.frame = requestAnimationFrame(turn);
  };
  playing.frame = requestAnimationFrame(turn);
};

// -- the buttons

const program = () => SCRIPTS[current.figure.name].python(current.state);

const showProgram = async () => {
  const box = place("program-box");
  box.hidden = !box.hidden;
  place("program-button").setAttribute("aria-expanded", String(!box.hidden));
  if (box.hidden) return;
  showText();
};

const showText = () => {
  if (place("program-box").hidden) return;
  place("file").textContent = `${current.figure.name}.py`;
  place("program").textContent = program();
};

const copy = async (words, button) => {
  try {
    await navigator.clipboard.writeText(words);
    button.textContent = said(WORDS.copied);
  } catch {
    // A page from a file may not use the clipboard everywhere: then the text is selected, to be copied by hand.
    getSelection().selectAllChildren(place("program"));
  }
  setTimeout(() => { button.textContent = said(WORDS[button.dataset.words]); }, 1500);
};

const begin = () => {
  place("play").addEventListener("click", play);
  place("again").addEventListener("click", () => { stop(); change(startOf(current.figure)); });
  place("program-button").addEventListener("click", showProgram);
  place("copy").addEventListener("click", (event) => copy(place("program").textContent, event.target));
  place("save").addEventListener("click", () => {
    download(`${current.figure.name}.py`, `data:text/x-python;charset=utf-8,${encodeURIComponent(program())}`);
  });
  place("link").addEventListener("click", (event) => { remember(); copy(location.href, event.target); });
  place("svg").addEventListener("click", () => saveSvg(current.figure.name, current.views));
  place("png").addEventListener("click", () => savePng(current.figure.name, current.views));
  place("chooser").addEventListener("change", (event) => go(event.target.value));
  place("before").addEventListener("click", () => beside(-1));
  place("after").addEventListener("click", () => beside(1));
  place("theme").addEventListener("click", () => {
    const dark = current.theme ? current.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    current.theme = dark ? "light" : "dark";
    show();
  });
  document.querySelectorAll("[data-lang]").forEach((button) => button.addEventListener("click", () => {
    chosenLanguage = button.dataset.lang;
    current.lang = chosenLanguage;
    show();
  }));
  place("menu").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    go(link.getAttribute("href").slice(1));
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea, .handle, button, a, summary")) return;
    const way = { PageUp: -1, PageDown: 1, ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (way) { event.preventDefault(); beside(way); }
    if (event.key === " ") { event.preventDefault(); if (!place("play").hidden) play(); }
  });
  addEventListener("hashchange", () => open(readAddress(location.hash)));
  addEventListener("popstate", () => open(readAddress(location.hash)));
  new ResizeObserver(redraw).observe(place("panels"));
  open(readAddress(location.hash));
};

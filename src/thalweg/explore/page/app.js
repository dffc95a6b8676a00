// The page: one figure at a time or all of them small, its controls, its address.

const SCRIPTS = {};

// What each script of a figure calls: `draw(state)` gives panels and numbers as data, `python(state)` the program.
const figure = (name, script) => { SCRIPTS[name] = script; };

const wordsOf = (name) => said(current.figure.words[name]) || said(WORDS[name]);

// ``figure``: which one is shown; null for the overview.
const current = {
  figure: null, state: {}, theme: "", lang: "", letters: "", views: [], controls: null, kept: new Map(),
};

const place = (id) => document.getElementById(id);

// What a figure's script draws, whichever is shown.
const drawingOf = (of, state) => {
  const { figure: shown } = current;
  current.figure = of;
  try { return SCRIPTS[of.name].draw(state); } finally { current.figure = shown; }
};

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
  if (!shown) return;
  const found = drawingOf(shown, state);
  const panels = found.panels;
  while (views.length > panels.length) views.pop().element.remove();
  while (views.length < panels.length) {
    const view = new PanelView(change, settle);
    views.push(view);
    place("panels").append(view.element);
  }
  const look = lookOfPanels();
  views.forEach((view, i) => view.element.classList.toggle("wide", panels[i].wide ?? false));
  // All are measured before one is drawn, since a browser lays the page out anew to measure what has changed.
  const widths = views.map((view) => view.element.clientWidth);
  views.forEach((view, i) => view.draw(panels[i], widths[i], look));
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

// What the address says beside the figure and its state.
const pageWords = () => ({ lang: current.lang, theme: current.theme, letters: current.letters });

const remember = () => {
  history.replaceState(null, "", addressOf(current.figure, current.state, pageWords()));
};

// A formula that is wider than its place scrolls, also by keyboard.
const reachable = () => {
  document.querySelectorAll("#formulas section, #derivation div").forEach((each) => {
    if (each.scrollWidth > each.clientWidth) each.setAttribute("tabindex", "0"); else each.removeAttribute("tabindex");
  });
};

// Everything that depends on the figure or the language, but not on the state.
const show = () => {
  const { figure: shown } = current;
  document.documentElement.lang = language();
  document.documentElement.dataset.theme = current.theme;
  setLetters(current.letters && shown ? shown.letters : {});
  document.querySelectorAll("[data-words]").forEach((each) => { each.textContent = said(WORDS[each.dataset.words]); });
  document.querySelectorAll("[data-label]").forEach((each) => {
    each.setAttribute("aria-label", said(WORDS[each.dataset.label]));
    if (each.matches("button")) each.title = said(WORDS[each.dataset.label]);
  });
  document.title = shown ? `${said(shown.title)} · thalweg` : "thalweg";
  place("title").textContent = said(shown ? shown.title : WORDS.all);
  place("see").textContent = said(shown ? shown.see : WORDS["all-see"]);
  place("menu").innerHTML = menuOf(shown);
  place("chooser").innerHTML = chooserOf(shown);
  place("figure").hidden = !shown;
  place("before").disabled = !shown || FIGURES.length === 1;
  place("after").disabled = shown === FIGURES.at(-1);
  document.querySelectorAll("[data-lang]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.lang === language()));
  });
  if (shown) showFigure(shown); else showOverview();
};

const showFigure = (shown) => {
  place("question-box").hidden = !shown.question;
  place("question").textContent = said(shown.question);
  place("answer").textContent = said(shown.answer);
  place("formulas").innerHTML = formulasOf(shown, current.letters);
  place("formulas-box").hidden = shown.formulas.length === 0;
  place("letters").hidden = !shown.formulas.some(({ lecture }) => lecture);
  place("letters").setAttribute("aria-pressed", String(current.letters !== ""));
  place("derivation-title").textContent = said(shown.derivation);
  place("derivation").innerHTML = derivationOf(shown);
  place("derivation-box").hidden = !shown.derivation;
  place("claims-box").hidden = shown.claims.length === 0;
  place("claims-list").innerHTML = claimsOf(shown);
  place("thread").innerHTML = threadOf(shown);
  place("play").hidden = !stepsOf(shown);
  place("rewind").hidden = !stepsOf(shown);
  reachable();
  draw();
};

const open = ({ figure: next, state, lang, theme, letters }) => {
  stop();
  playing.at = null;
  const same = current.figure === next;
  Object.assign(current, {
    figure: next, state, lang: lang || current.lang, theme: theme || current.theme, letters: letters || current.letters,
  });
  chosenLanguage = current.lang || (navigator.language.startsWith("fr") ? "fr" : "en");
  if (next) {
    current.kept.set(next.name, state);
    hideOverview();
  }
  if (!same) {
    current.controls = next && controlsOf(next, change);
    place("controls").replaceChildren(...(next ? current.controls.elements : []));
    current.views.splice(0).forEach((view) => view.element.remove());
    for (const id of ["program-box", "by-hand"]) place(id).hidden = true;
    for (const id of ["answer-box", "derivation-box"]) place(id).open = false;
    unfold(false);
  }
  show();
};

// To another figure, in the state in which it was left, or to the overview.
const go = (name) => {
  const next = shownAt(name);
  const state = next ? current.kept.get(next.name) ?? startOf(next) : {};
  history.pushState(null, "", addressOf(next, state, pageWords()));
  open({ figure: next, state });
  scrollTo(0, 0);
};

const beside = (ways) => {
  const index = FIGURES.indexOf(current.figure) + ways;
  if (FIGURES[index]) go(FIGURES[index].name);
  else if (index < 0 && current.figure) go("");
};

// -- the buttons

const program = () => SCRIPTS[current.figure.name].python(current.state);

const showProgram = () => {
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
    const byHand = place("by-hand");
    Object.assign(byHand, { hidden: false, value: words });
    byHand.select();
  }
  setTimeout(() => { button.textContent = said(WORDS[button.dataset.words]); }, 1500);
};

// On a phone the words above a figure are cut to two lines, until somebody asks for all of them.
const unfold = (all) => {
  place("see").classList.toggle("all", all);
  place("more").setAttribute("aria-expanded", String(all));
};

const KEYS = {
  PageUp: () => beside(-1), PageDown: () => beside(1), ArrowLeft: () => beside(-1), ArrowRight: () => beside(1),
  " ": () => { if (!current.figure) turnStill(); else if (stepsOf(current.figure)) play(); },
  f: () => { if (current.figure) present(); },
  Escape: leavePresenting,
};

const begin = () => {
  const on = (id, run, event = "click") => place(id).addEventListener(event, run);
  on("play", play);
  on("rewind", rewind);
  on("again", () => { stop(); change(startOf(current.figure)); });
  on("program-button", showProgram);
  on("copy", (event) => copy(program(), event.target));
  on("save", () =>
    download(`${current.figure.name}.py`, `data:text/x-python;charset=utf-8,${encodeURIComponent(program())}`));
  on("link", (event) => { remember(); copy(location.href, event.target); });
  on("frame", (event) => { remember(); copy(frameOf(), event.target); });
  on("svg", () => saveSvg(current.figure.name, current.views));
  on("png", () => savePng(current.figure.name, current.views));
  on("present", present);
  on("more", () => unfold(place("more").getAttribute("aria-expanded") !== "true"));
  on("letters", () => { current.letters = current.letters ? "" : "lecture"; show(); });
  on("chooser", (event) => go(event.target.value), "change");
  on("before", () => beside(-1));
  on("after", () => beside(1));
  on("theme", () => {
    const dark = current.theme ? current.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    current.theme = dark ? "light" : "dark";
    document.documentElement.dataset.theme = current.theme;
    remember();
  });
  document.querySelectorAll("[data-lang]").forEach((button) => button.addEventListener("click", () => {
    chosenLanguage = button.dataset.lang;
    current.lang = chosenLanguage;
    show();
    remember();
  }));
  // A link to a figure leads to it as it was left.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]:not(.skip)');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(link.getAttribute("href").slice(1));
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest('select, textarea, input:not([type="range"], [type="checkbox"])')) return;
    const held = event.target.closest("input, .handle, button, a, summary");
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // What has the focus has its own use for the others.
    if (!KEYS[key] || (held && key !== "f" && key !== "Escape")) return;
    event.preventDefault();
    KEYS[key]();
  });
  document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement) leavePresenting(); });
  addEventListener("hashchange", () => open(readAddress(location.hash)));
  addEventListener("popstate", () => open(readAddress(location.hash)));
  new ResizeObserver(redraw).observe(place("panels"));
  addEventListener("resize", () => { redraw(); reachable(); });
  for (const id of ["formulas-box", "derivation-box"]) place(id).addEventListener("toggle", reachable);
  if (EMBEDDED) setMode("embed");
  open(readAddress(location.hash));
};

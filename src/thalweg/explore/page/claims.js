// The page of the claims: words, a forest of intervals for each bound, and the figures, drawn once and again when the
// page's width or language is another.

const place = (id) => document.getElementById(id);
const CLASSES = { holds: "holds", "does not hold": "not", "cannot tell": "unclear" };
const SIGNS = { holds: "✓", "does not hold": "✗", "cannot tell": "?" };
const ROW = 20;

const page = { theme: "", views: [] };

const tag = (name, content, more = "") => `<${name}${more}>${content}</${name}>`;
const verdictOf = ({ verdict, count, bounds }) => {
  const repeats = bounds[0].repeats.length;
  const often = repeats > 1 ? ` · ${filled(said(WORDS.of), { count: String(count), repeats: String(repeats) })}` : "";
  return tag("span", escaped(said(WORDS[verdict]) + often), ` class="verdict ${CLASSES[verdict]}"`);
};

const claimText = (claim) => {
  const own = `#${claim.name}`;
  const bounds = claim.bounds.map(({ words, first, asked }) =>
    tag("div", tag("p", `${escaped(said(words))}${said({ en: ": ", fr: " : " })}<strong>${escaped(said(first))}</strong>, ` +
      `${escaped(filled(said(WORDS.asked), { bound: said(asked) }))}`), ' class="bound"')).join("");
  const play = EXPLORER && claim.figure
    ? tag("p", tag("a", escaped(said(WORDS.play)), ` href="${encodeURIComponent(EXPLORER)}#${claim.figure}?lang=${language()}"`)) : "";
  return tag("h3", `${tag("a", escaped(said(claim.statement)), ` href="${own}"`)} ${verdictOf(claim)}`) +
    tag("p", `${escaped(said(WORDS.slide))}${said({ en: ": ", fr: " : " })}<span lang="fr">${escaped(claim.slide)}</span>`,
      ' class="quiet"') +
    tag("p", escaped(said(claim.measured))) + '<div class="drawn"></div>' + tag("div", bounds, ' class="bounds"') +
    tag("p", `<strong>${escaped(said(WORDS.why))}.</strong> ${escaped(said(claim.why))}`) + play;
};

const erratumText = ({ slide, written, instead, why, claims }) => tag("li",
  tag("p", `<strong lang="fr">${escaped(slide)}</strong>`) +
  tag("dl", [["written", written], ["instead", instead]].map(([name, formula]) =>
    `${tag("dt", escaped(said(WORDS[name])))}${tag("dd", escaped(formula), ' lang="fr"')}`).join("")) +
  tag("p", `${escaped(said(why))} ${claims.map((name) => tag("a", name, ` href="#${name}"`)).join(", ")}`));

// 1, 2, 5, 10, ... or only powers, as many as can be told apart.
const logTicks = ({ from, to }) => {
  const powers = upTo(25).map((k) => k - 12);
  const set = (digits) => powers.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)))
    .filter((value) => value > from && value < to);
  return [set([1, 2, 5]), set([1, 3]), set([1])].find((each) => each.length <= 6) ?? set([1]).filter((_, i) => i % 2 === 0);
};

// The bounds' intervals, a row each repeat, and the numbers that they are held to.
const forest = ({ words, low, high, ratio, share, repeats }) => {
  const ends = repeats.flatMap(([, from, to]) => [from, to]);
  const held = [low, high].filter((each) => each !== null);
  const log = ratio && Math.max(...ends, ...held) > 4 * Math.min(...ends, ...held);
  // Where there is no interval, all that is possible.
  const x = around([...ends, ...held], { log, room: 0.12 });
  const colour = (verdict) => ({ holds: "--holds", "does not hold": "--not", "cannot tell": "--quiet" })[verdict];
  const named = share ? { name: (value) => percentText(value, Math.abs(x.to - x.from) < 0.05 ? 1 : 0) }
    : log ? { ticks: logTicks(x), name: (value) => numberText(value) } : {};
  return {
    x: { ...x, ...named }, y: { from: repeats.length - 0.4, to: -0.6, ticks: upTo(repeats.length), name: (row) => String(row + 1) },
    xlabel: "", ylabel: repeats.length > 1 ? said(WORDS.repeat) : "", ratio: 0, least: ROW * repeats.length + 58,
    alt: `${said(words)}${said({ en: ": ", fr: " : " })}${repeats.map(([mean, from, to]) => `${numberText(mean, 3)} (${numberText(from, 3)}; ${numberText(to, 3)})`).join(", ")}`,
    marks: [
      ...held.map((value) => ({ kind: "across", x: value, colour: "--ink", width: 1.5 })),
      ...repeats.flatMap(([mean, from, to, verdict], row) => [
        { kind: "line", x: [from, to], y: [row, row], colour: colour(verdict), width: 2.5 },
        { kind: "dots", x: [mean], y: [row], colour: colour(verdict), r: 4.5 },
      ]),
    ],
  };
};

// A panel whose x is a name has its names at the left, where there is room for them, and values from left to right.
const byName = ({ title, y, curves, log_y: log, ticks }) => {
  const bars = curves.filter(({ kind }) => kind === "bars");
  const values = around(curves.flatMap((curve) => [...curve.y, ...curve.low, ...curve.high]),
    { log, ...(bars.length && !log ? { least: 0 } : {}) });
  const width = 0.8 / Math.max(1, bars.length);
  const marks = curves.flatMap((curve, k) => {
    const colour = `--c${k % 8}`;
    const bar = bars.indexOf(curve);
    const middle = (row) => (bar < 0 ? row : row - 0.4 + (bar + 0.46) * width);
    const whiskers = curve.low.map((low, i) => ({ kind: "line", x: [low, curve.high[i]],
      y: [middle(curve.x[i]), middle(curve.x[i])], colour: bar < 0 ? colour : "--ink", width: 1.5 }));
    if (bar < 0) {
      const at = { x: curve.y, y: curve.x, colour };
      const line = { kind: "line", ...at, dash: curve.dashed ? "7 4" : null };
      return [...whiskers, curve.kind === "line" ? line : { kind: "dots", ...at, r: 4 }];
    }
    const rects = curve.x.map((row, i) => ({ kind: "rect", x: [log ? values.from : 0, curve.y[i]],
      y: [middle(row) - 0.46 * width, middle(row) + 0.46 * width], colour, opacity: 0.85 }));
    return [...rects, ...whiskers];
  });
  const names = ticks.map(said);
  return {
    title: said(title), x: log ? { ...values, ticks: logTicks(values), name: (value) => numberText(value) } : values,
    y: { from: names.length - 0.4, to: -0.6, ticks: upTo(names.length), name: (row) => names[row] },
    xlabel: said(y), ylabel: "", left: 16 + 7.6 * Math.max(...names.map((name) => name.length)),
    ratio: 0, least: Math.max(120, names.length * Math.max(26, 16 * bars.length) + 56), marks,
  };
};

const byNumber = ({ title, x, y, curves, log_x: logX, log_y: logY }) => {
  const marks = curves.flatMap((curve, k) => {
    const colour = `--c${k % 8}`;
    const look = { x: curve.x, y: curve.y, colour };
    const between = !curve.low.length ? []
      : curve.kind === "dots" ? curve.x.map((value, i) => ({ kind: "line", x: [value, value],
        y: [curve.low[i], curve.high[i]], colour, width: 1.5 }))
        : [{ kind: "band", x: curve.x, low: curve.low, high: curve.high, colour }];
    return [
      ...between, ...(curve.kind === "dots" ? [] : [{ kind: "line", ...look, dash: curve.dashed ? "7 4" : null }]),
      ...(curve.kind === "line" ? [] : [{ kind: "dots", ...look, r: 3.5 }]),
    ];
  });
  return {
    title: said(title), x: around(curves.flatMap((curve) => curve.x), { log: logX, room: 0.03 }),
    y: around(curves.flatMap((curve) => [...curve.y, ...curve.low, ...curve.high]), { log: logY }),
    xlabel: said(x), ylabel: said(y), ratio: 0.56, marks,
  };
};

const panelOf = (panel) => ({
  ...(panel.ticks.length ? byName : byNumber)(panel),
  alt: `${said(panel.title)}${said({ en: ": ", fr: " : " })}${panel.curves.map(({ name }) => said(name)).join(", ")}`,
  legend: panel.curves.map(({ name, kind, dashed }, k) =>
    [said(name), `--c${k % 8}`, dashed ? "7 4" : null, kind === "line" ? 2 : 6]),
});

const viewIn = (element, of) => {
  const view = new PanelView(() => {}, () => {});
  element.append(view.element);
  return { view, of };
};

const draw = () => page.views.forEach(({ view, of }) => view.draw(of(), view.element.clientWidth));

const all = SECTIONS.flatMap(({ claims }) => claims);

const show = () => {
  document.documentElement.lang = language();
  document.documentElement.dataset.theme = page.theme;
  document.title = `${said(WORDS.heading)} · thalweg`;
  document.querySelectorAll("[data-words]").forEach((each) => { each.textContent = said(WORDS[each.dataset.words]); });
  document.querySelectorAll("[data-label]").forEach((each) => each.setAttribute("aria-label", said(WORDS[each.dataset.label])));
  document.querySelectorAll("[data-lang]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.lang === language()));
  });
  place("facts").textContent = filled(said(WORDS.facts), FACTS);
  place("counts").innerHTML = VERDICTS.map((verdict) =>
    `${tag("span", escaped(said(WORDS[verdict])), ` class="verdict ${CLASSES[verdict]}"`)} ${all.filter((each) => each.verdict === verdict).length}`)
    .join(" &nbsp; ");
  place("menu").innerHTML = SECTIONS.map(({ title, claims }) =>
    `<li><span>${escaped(said(title))}</span><ul>${claims.map(({ name, statement, verdict }) =>
      `<li><a href="#${name}"><span class="mark ${CLASSES[verdict]}" aria-hidden="true">${SIGNS[verdict]}</span>` +
      `${escaped(said(statement).replace(/\.$/, ""))}</a></li>`).join("")}</ul></li>`).join("");
  place("claims").innerHTML = SECTIONS.map(({ title, claims }) => tag("h2", escaped(said(title))) +
    claims.map((claim) => tag("section", claimText(claim), ` class="claim" id="${claim.name}"`)).join("")).join("") +
    tag("h2", escaped(said(WORDS.errata)), ' id="errata"') + tag("ol", ERRATA.map(erratumText).join(""));
  place("menu").innerHTML += `<li><ul><li>${tag("a", escaped(said(WORDS.errata)), ' href="#errata"')}</li></ul></li>`;
  place("menu-here").innerHTML = place("menu").innerHTML;
  page.views = all.flatMap((claim) => {
    const section = place(claim.name);
    const bounds = section.querySelectorAll(".bound");
    return [
      ...claim.panels.map((panel) => viewIn(section.querySelector(".drawn"), () => panelOf(panel))),
      ...claim.bounds.map((bound, k) => viewIn(bounds[k], () => forest(bound))),
    ];
  });
  draw();
};

// As the explorer's: #adagrad-uniform?lang=fr&theme=dark.
const begin = () => {
  const [name, query = ""] = location.hash.slice(1).split("?");
  const given = new URLSearchParams(query);
  chosenLanguage = (given.get("lang") ?? navigator.language).startsWith("fr") ? "fr" : "en";
  page.theme = given.get("theme") ?? "";
  place("theme").addEventListener("click", () => {
    const dark = page.theme ? page.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    page.theme = dark ? "light" : "dark";
    document.documentElement.dataset.theme = page.theme;
  });
  document.querySelectorAll("[data-lang]").forEach((button) => button.addEventListener("click", () => {
    // What is read stays where it is, though texts of another language are longer.
    const read = all.map(({ name: each }) => each).find((each) => place(each).getBoundingClientRect().bottom > 0);
    const before = place(read).getBoundingClientRect().top;
    chosenLanguage = button.dataset.lang;
    show();
    if (before < 0) scrollBy({ top: place(read).getBoundingClientRect().top - before, behavior: "instant" });
  }));
  addEventListener("hashchange", () => { if (location.hash.includes("?")) location.reload(); });
  show();
  new ResizeObserver(draw).observe(place("claims"));
  if (name) place(name)?.scrollIntoView();
};

// The state of a figure, and its address: #momentum?lr=0.1&start=1.5,2&lang=fr

const startOf = (figure) => Object.fromEntries(figure.controls.map((control) => [control.name, control.start]));

const within = (control, value) => Math.max(control.low, Math.min(control.high, value));

// One value as the control allows it; undefined if it cannot be one.
const allowed = (control, value) => {
  switch (control.kind) {
    case "slider": {
      const found = Number(value);
      if (value === "" || !Number.isFinite(found)) return undefined;
      return Number(numberPlain(within(control, control.whole ? Math.round(found) : found)));
    }
    case "numbers": {
      const found = (typeof value === "string" ? value.split(",") : value).map(Number);
      if (found.length !== control.start.length || !found.every(Number.isFinite)) return undefined;
      return found.map((each) => Number(numberPlain(within(control, each))));
    }
    case "toggle": return value === true || value === "1";
    case "choice": return value in control.options ? value : undefined;
    default: {
      const found = typeof value === "string" ? value.split(",") : value;
      return Object.keys(control.options).filter((each) => found.includes(each));
    }
  }
};

const written = (control, value) => {
  if (control.kind === "toggle") return value ? "1" : "0";
  return Array.isArray(value) ? value.join(",") : String(value);
};

// What the chosen options set other controls to.
const broughtBy = (figure, changes) => Object.assign({}, ...figure.controls.map(({ name, brings }) => brings?.[changes[name]]));

// A state with some changes; what a control does not allow is left as it was.
const withChanges = (figure, state, changes) => {
  const found = { ...state };
  const all = { ...broughtBy(figure, changes), ...changes };
  for (const control of figure.controls) {
    if (!(control.name in all)) continue;
    const value = allowed(control, all[control.name]);
    if (value !== undefined) found[control.name] = value;
  }
  return found;
};

// The address of a figure in a state, with what is said of the page itself; null is the overview.
const addressOf = (figure, state, page) => {
  const start = figure ? { ...startOf(figure), ...broughtBy(figure, state) } : {};
  const words = (figure?.controls ?? [])
    .map((control) => [control.name, written(control, state[control.name]), written(control, start[control.name])])
    .filter(([, now, start]) => now !== start)
    .map(([name, now]) => `${name}=${encodeURIComponent(now).replaceAll("%2C", ",")}`);
  for (const [name, value] of Object.entries(page)) if (value) words.push(`${name}=${value}`);
  return `#${figure?.name ?? ""}${words.length ? `?${words.join("&")}` : ""}`;
};

const figureOf = (name) => FIGURES.find((each) => each.name === name);

// The figure of a name. The overview is null: it stands where no figure has the name, unless there is but one.
const shownAt = (name) => figureOf(name) ?? (FIGURES.length > 1 ? null : FIGURES[0]);

// The figure that an address names, its state, and what it says of the page itself.
const readAddress = (hash) => {
  const [name, query = ""] = hash.replace(/^#/, "").split("?");
  const figure = shownAt(name);
  const given = Object.fromEntries(new URLSearchParams(query));
  const among = (word, ...known) => (known.includes(given[word]) ? given[word] : "");
  return {
    figure,
    state: figure ? withChanges(figure, startOf(figure), given) : {},
    lang: among("lang", "fr", "en"),
    theme: among("theme", "dark", "light"),
    letters: among("letters", "lecture"),
  };
};

// Every rule of the catalogue on one surface.

const racing = (state) => {
  const families = Object.keys(state).filter((name) => name.startsWith("family."));
  const chosen = families.flatMap((name) => state[name]);
  return current.figure.data.rules.filter((label) => chosen.includes(label));
};

// Rules that have no look of their own take the colours that are left; then colours come again, with other dashes.
const racingLooks = (labels) => {
  const taken = labels.map((label) => LOOKS[label]?.colour);
  const free = upTo(8).map((index) => `--c${index}`).filter((colour) => !taken.includes(colour));
  const others = labels.filter((label) => !LOOKS[label]);
  return labels.map((label) => {
    const place = others.indexOf(label);
    if (place < 0) return LOOKS[label];
    if (place < free.length) return { colour: free[place], dash: "6 3" };
    const later = place - free.length;
    return { colour: `--c${later % 8}`, dash: ["4 2 1 2", "16 3", "1 3"][Math.floor(later / 8)] };
  });
};

// Not below 0, where rounding leads.
const above = (surface, w) => {
  const found = SURFACES[surface].call(w[0], w[1])[0] - (current.figure.data.lowest[surface] ?? 0);
  return found < 0 ? 0 : found;
};

// A rule's run. What counts are the weights it would have tested, an average for some.
const raced = (label, state) => {
  const n = settings(label, state);
  const form = formOf(label, n);
  const { seen } = train(label, n, lossOf(state.surface, state.seed), state.start, state.steps,
    (s) => copyOf(form.evaluate(n, s)));
  return { label, n, x: column(seen, 0), y: column(seen, 1), losses: seen.map((w) => above(state.surface, w)) };
};

figure("race", {
  draw(state) {
    const surface = SURFACES[state.surface];
    const shown = racing(state);
    const looks = racingLooks(shown);
    const runs = shown.map((label, index) => ({ ...raced(label, state), look: looks[index] }));
    const now = (run) => run.losses[state.steps];
    const best = runs.reduce((a, b) => (a && !(now(b) < now(a)) ? a : b), null);
    const top = 10 ** Math.ceil(Math.log10(Math.max(above(state.surface, state.start), 0.1)) + 0.3);
    const note = !best ? wordsOf("none") : filled(wordsOf("leads"),
      { rule: titleOf(best.label), steps: state.steps, loss: numberText(now(best), 3) });
    const lines = (x, y) => [
      ...runs.map((run) => ({ kind: "line", x: x(run), y: y(run), ...run.look, width: 1.5, opacity: 0.85 })),
      ...runs.map((run) => ({ kind: "dots", x: x(run).slice(-1), y: y(run).slice(-1), colour: run.look.colour, r: 5 })),
    ];
    const steps = upTo(state.steps + 1);
    return {
      panels: [
        surfacePanel(state.surface, {
          wide: true, ratio: 0.6, least: 260, title: wordsOf("paths"), alt: note,
          legend: runs.map(({ label, look }) => [titleOf(label), look.colour, look.dash]),
          marks: lines((run) => run.x, (run) => run.y), handles: [startHandle("start", state.start)],
        }),
        {
          wide: true, ratio: 0.44, least: 220, title: wordsOf("above"), alt: note,
          x: { from: 0, to: 300, whole: true }, y: { from: 1e-8, to: top, log: true },
          xlabel: wordsOf("step"), ylabel: wordsOf("loss"),
          marks: [{ kind: "across", y: state.goal }, ...lines(() => steps, (run) => run.losses)],
        },
      ],
      note,
      table: {
        heads: [wordsOf("rule"), "η", wordsOf("loss"), `${wordsOf("reached")} ${numberText(state.goal)}`],
        rows: runs.map((run) => {
          const reached = run.losses.findIndex((loss) => loss < state.goal);
          return [titleOf(run.label), run.look, run.n.lr, numberText(now(run), 3), reached < 0 ? "–" : `${reached}`];
        }),
      },
      hidden: [
        ...current.figure.data.rules.filter((label) => !shown.includes(label)).map((label) => `${label}.lr`),
        ...(surface.noise ? [] : ["seed"]),
      ],
    };
  },
  python(state) {
    const nameOf = (label) => RULES[label].title.en;
    const runs = racing(state).map((label) => [nameOf(label), pythonOptimizer(label, settings(label, state))]);
    const averaged = racing(state).filter((label) => label.startsWith("schedulefree")).map(nameOf);
    return pythonDescent(state.surface, state.start, state.steps, runs, state.seed, averaged);
  },
});

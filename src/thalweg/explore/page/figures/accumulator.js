// What AdaGrad and RMSProp divide by, from step to step.

// What the rule calls it, and what the optimizer's state does.
const ACCUMULATORS = { adagrad: ["total", "sum"], rmsprop: ["v", "square_avg"] };

const accumulatorRun = (label, state) => {
  const n = settings(label, state, { lr: state.lr });
  const [key] = ACCUMULATORS[label];
  const run = train(label, n, lossOf(state.surface, state.seed), state.start, state.steps,
    (s) => ({ norm: Math.hypot(...s[key]), rate: FUNCTIONS[`accumulator.${label}`](s[key][0], n.lr, n.eps)[0] }));
  // Before the first step nothing is accumulated.
  const seen = run.seen.slice(1);
  const norms = seen.map(({ norm }) => norm);
  const falls = norms.filter((each, i) => i > 0 && each < norms[i - 1]).length;
  return { label, n, ...run, norms, rates: seen.map(({ rate: each }) => each), falls };
};

figure("accumulator", {
  draw(state) {
    const runs = Object.keys(ACCUMULATORS).map((label) => accumulatorRun(label, state));
    const [adagrad, rmsprop] = runs;
    const labels = Object.keys(ACCUMULATORS);
    const steps = upTo(state.steps + 1);
    const x = { from: 0, to: Math.max(2, state.steps), whole: true };
    const ratio = ({ rates }) => (rates.length ? numberText(rates.at(-1) / rates[0], 2) : "–");
    const note = state.steps === 0 ? wordsOf("begin") : filled(wordsOf("note"), { steps: state.steps,
      adagrad: ratio(adagrad), rmsprop: ratio(rmsprop), fallsA: adagrad.falls, fallsR: rmsprop.falls });
    const over = (title, name) => ({
      title, x, y: around(runs.flatMap((run) => run[name]), { log: true }), xlabel: wordsOf("step"), alt: note,
      legend: legendOf(labels),
      marks: runs.map((run) => lineOf(run.label, steps.slice(1), run[name], { width: 1.75 })),
    });
    return {
      panels: [
        over(wordsOf("norm"), "norms"),
        over(wordsOf("rate"), "rates"),
        surfacePanel(state.surface, {
          title: `${wordsOf("paths")} · ${said(SURFACES[state.surface].title)}`, alt: note,
          marks: runs.flatMap(({ label, weights }) => pathMarks(label, weights, { r: 1.75 })),
          handles: [startHandle("start", state.start)],
        }),
        {
          title: wordsOf("loss"), x, y: lossAxis(runs), xlabel: wordsOf("step"), alt: note,
          marks: runs.map(({ label, losses }) => lineOf(label, steps, losses, { width: 1.75 })),
        },
      ],
      note,
      table: {
        heads: [stepText(state), "‖G‖, ‖v‖", wordsOf("effective"), wordsOf("change"), "x", "y", wordsOf("loss")],
        rows: runs.map((run) => [titleOf(run.label), lookOf(run.label), run.norms.at(-1) ?? 0, run.rates.at(-1) ?? "–",
          ratio(run), ...run.weights[state.steps], run.losses[state.steps]]),
      },
      hidden: SURFACES[state.surface].noise ? [] : ["seed"],
    };
  },
  python: (state) => pythonDescent(state.surface, state.start, state.steps,
    Object.entries(ACCUMULATORS).map(([label, [, key]]) =>
      [label, pythonOptimizer(label, settings(label, state, { lr: state.lr })), null, state.steps ? key : null]),
    state.seed),
});

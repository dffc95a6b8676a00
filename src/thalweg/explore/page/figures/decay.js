// L2 against decoupled weight decay.

const DECAY_RULES = ["sgd", "momentum", "adam"];
const DECAY_KINDS = [["l2", "--c1", null], ["decoupled", "--c0", "6 5"]];

const decaySettings = (rule, kind, state) =>
  settings(`${rule}-${kind}`, state, { lr: state[`${rule}.lr`], weight_decay: state.lambda });

const decayRun = (rule, kind, state, see) =>
  train(`${rule}-${kind}`, decaySettings(rule, kind, state), lossOf("apart"), state.start, state.steps, see);


// How far apart two paths come, but for rounding.
const furthest = (one, other) => {
  const apart = one.weights.map(([x, y], i) => Math.hypot(x - other.weights[i][0], y - other.weights[i][1]));
  const found = Math.max(...apart);
  return found < 1e-12 ? 0 : found;
};

// What L2 takes of each coordinate in each of Adam's steps.
const l2Shares = (seen, n) => [0, 1].map((index) => seen.map((v, t) =>
  (t === 0 ? NaN : FUNCTIONS["decay.share"](v[index], t, n.lr, n.beta2, n.eps, n.weight_decay)[0])));

figure("decay", {
  draw(state) {
    const { minimum } = SURFACES.apart;
    const runs = Object.fromEntries(DECAY_RULES.map((rule) => [rule, Object.fromEntries(DECAY_KINDS.map(([kind]) =>
      [kind, decayRun(rule, kind, state, rule === "adam" ? (s) => copyOf(s.v) : undefined)]))]));
    const endOf = (rule, kind) => runs[rule][kind].weights[state.steps];
    const kept = (rule, kind, index) => endOf(rule, kind)[index] / minimum[index];
    const note = filled(wordsOf("note"), {
      ...Object.fromEntries(DECAY_RULES.map((rule) =>
        [rule, numberText(furthest(runs[rule].l2, runs[rule].decoupled), 2)])),
      l2: percentText(kept("adam", "l2", 1), 1), decoupled: percentText(kept("adam", "decoupled", 1), 1),
    });
    const legend = DECAY_KINDS.map(([kind, colour, dash]) => [wordsOf(kind), colour, dash]);
    const n = decaySettings("adam", "l2", state);
    const [x, y] = l2Shares(runs.adam.l2.seen, n);
    const steps = upTo(state.steps + 1);
    const beside = n.lr * state.lambda;
    return {
      panels: [
        ...DECAY_RULES.map((rule) => surfacePanel("apart", {
          title: wordsOf(rule), legend, ratio: 0.8, alt: note,
          marks: [
            ...DECAY_KINDS.map(([kind, colour, dash]) => ({ kind: "line", colour, dash, width: kind === "l2" ? 3 : 2,
              x: column(runs[rule][kind].weights, 0), y: column(runs[rule][kind].weights, 1) })),
            ...DECAY_KINDS.map(([kind, colour], index) => ({ kind: "dots", colour, r: index ? 4 : 7,
              x: [endOf(rule, kind)[0]], y: [endOf(rule, kind)[1]] })),
          ],
          handles: [startHandle("start", state.start)],
        })),
        {
          title: wordsOf("share"), ratio: 0.8, alt: note,
          legend: [[wordsOf("both"), "--c0", "6 5"], [wordsOf("l2x"), "--c1", null], [wordsOf("l2y"), "--c1", "2 4"]],
          x: { from: 0, to: 400, whole: true },
          y: around([beside, ...x, ...y], { log: true }), xlabel: wordsOf("step"), ylabel: wordsOf("part"),
          marks: [
            { kind: "line", x: [0, state.steps], y: [beside, beside], colour: "--c0", dash: "6 5" },
            { kind: "line", x: steps, y: x, colour: "--c1" },
            { kind: "line", x: steps, y, colour: "--c1", dash: "2 4" },
          ],
        },
      ],
      note,
      table: {
        heads: [wordsOf("end"), ...["x", "y"].map((name, i) => `${name} (${wordsOf("of")} ${numberText(minimum[i])})`)],
        rows: DECAY_RULES.flatMap((rule) => DECAY_KINDS.map(([kind, colour, dash]) => [
          titleOf(`${rule}-${kind}`), { colour, dash },
          ...endOf(rule, kind).map((value, i) => `${numberText(value)} (${percentText(kept(rule, kind, i), 1)})`),
        ])),
      },
    };
  },
  python(state) {
    const runOf = (rule, kind) =>
      [`${rule}-${kind}`, pythonOptimizer(`${rule}-${kind}`, decaySettings(rule, kind, state))];
    const runs = DECAY_RULES.flatMap((rule) => DECAY_KINDS.map(([kind]) => runOf(rule, kind)));
    return pythonDescent("apart", state.start, state.steps, runs);
  },
});

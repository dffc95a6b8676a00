// Momentum in a narrow valley.

// Where a coordinate first passes 0, and where it then turns back; null if it has not yet.
const turnOf = (x) => {
  const past = x.findIndex((each) => each * x[0] < 0);
  if (past < 0) return null;
  const back = x.findIndex((each, i) => i >= past && i + 1 < x.length && Math.abs(x[i + 1]) < Math.abs(each));
  return back < 0 ? null : { past, back };
};

// The settings of every rule: in a sum each gradient enters whole, in an average (1 - μ) of it, and of the others' too.
const momentumSettings = ({ velocity, lr, momentum }) => {
  const share = velocity === "average" ? Number(numberPlain(lr * (1 - momentum))) : lr;
  const label = velocity === "average" ? "momentum" : "momentum-sum";
  return [["sgd", { lr: share }], [label, { lr, momentum }], ["nag", { lr: share, momentum }]]
    .map(([name, given]) => [name, settings(name, {}, given)]);
};

figure("momentum", {
  draw(state) {
    const runs = momentumSettings(state).map(([label, n]) => {
      const run = train(label, n, lossOf("valley"), state.start, state.steps);
      const x = column(run.weights, 0);
      return { label, n, ...run, x, turn: label === "sgd" ? null : turnOf(x) };
    });
    const [plain, heavy, nag] = runs;
    const steps = upTo(state.steps + 1);
    const labels = runs.map(({ label }) => label);
    const turned = runs.filter(({ turn }) => turn);
    const end = (run) => run.losses[state.steps];
    // Where the word would leave the panel, it stands on the other side.
    const side = (step) => (step < 0.2 * state.steps ? "start" : step > 0.8 * state.steps ? "end" : "middle");
    const ring = (label, x, y) => ({ kind: "dots", x: [x], y: [y], colour: lookOf(label).colour, r: 5, hollow: true });
    const reach = Math.max(5, ...heavy.x.map(Math.abs).filter((each) => each < 20));
    const notes = [
      heavy.turn
        ? filled(wordsOf("turns"), { ...heavy.turn, x: numberText(heavy.x[heavy.turn.back], 3) }) : wordsOf("straight"),
      filled(wordsOf("losses"), { steps: state.steps, ...Object.fromEntries(
        [["plain", plain], ["momentum", heavy], ["nag", nag]].map(([name, run]) => [name, numberText(end(run), 2)])) }),
      ...(state.velocity === "average"
        ? [filled(wordsOf("average"), { factor: numberText(1 / (1 - state.momentum), 3) })] : []),
    ];
    return {
      panels: [
        surfacePanel("valley", {
          title: wordsOf("paths"), wide: true, ratio: 0.56, least: 230, alt: notes[0], legend: legendOf(labels),
          marks: [
            ...runs.flatMap(({ label, weights }) => pathMarks(label, weights)),
            ...turned.map(({ label, weights, turn }) => ring(label, ...weights[turn.back])),
          ],
          handles: [startHandle("start", state.start)],
        }),
        {
          title: wordsOf("along"), x: { from: 0, to: Math.max(1, state.steps), whole: true },
          y: { from: -reach * 1.08, to: reach * 1.08 }, xlabel: wordsOf("step"), ylabel: "x", alt: notes[0],
          marks: [
            { kind: "across", y: 0 },
            ...runs.map(({ label, x }) => lineOf(label, steps, x)),
            ...turned.map(({ label, x, turn }) => ring(label, turn.back, x[turn.back])),
            ...(heavy.turn ? [{ kind: "text", x: heavy.turn.back, y: heavy.x[heavy.turn.back], text: wordsOf("back"),
              anchor: side(heavy.turn.back), size: 12, dy: heavy.x[heavy.turn.back] > 0 ? -11 : 20 }] : []),
          ],
        },
        {
          title: wordsOf("loss"), x: { from: 0, to: Math.max(1, state.steps), whole: true },
          y: lossAxis(runs), xlabel: wordsOf("step"), alt: notes[1],
          marks: runs.map(({ label, losses }) => lineOf(label, steps, losses)),
        },
      ],
      note: notes.join(" "),
      table: {
        heads: [stepText(state), "η", "x", "y", wordsOf("loss"), wordsOf("turned")],
        rows: runs.map(({ label, n, weights, losses, x, turn }) => [titleOf(label), lookOf(label),
          n.lr, ...weights[state.steps], losses[state.steps], turn ? x[turn.back] : "–"]),
      },
    };
  },
  python: (state) => pythonDescent("valley", state.start, state.steps,
    momentumSettings(state).map(([label, n]) => [label, pythonOptimizer(label, n)])),
});

// Steps by the sign alone.

const SIGN_LAST = 30;

const signSettings = (label, state) => settings(label, state, label === "sgd" ? {} : { lr: state.lr });

figure("sign", {
  draw(state) {
    const labels = ["lion", "adam", "sgd"];
    const runs = labels.map((label) => {
      const n = signSettings(label, state);
      const run = train(label, n, lossOf(state.surface), state.start, state.steps,
        (s, loss, g) => ({ step: [-s.d[0] / n.lr, -s.d[1] / n.lr], slope: [g[0], g[1]] }));
      return { label, n, ...run, moved: run.seen.slice(1).map(({ step }) => step),
        distances: run.weights.map(([x, y]) => Math.hypot(x, y)) };
    });
    const [lion, adam, sgd] = runs;
    const steps = upTo(state.steps + 1);
    const last = ({ moved }) => moved.at(-1) ?? [NaN, NaN];
    const circle = ({ distances }) => {
      const end = distances.slice(-SIGN_LAST);
      return [Math.min(...end), Math.max(...end)].map((each) => numberText(each / state.lr, 2));
    };
    const [[lx, ly], [ax, ay]] = [last(lion), last(adam)].map((step) => step.map((each) => numberText(each, 2)));
    const [[near, far], [anear, afar]] = [circle(lion), circle(adam)];
    const note = state.steps === 0 ? wordsOf("begin") : [
      filled(wordsOf("corner"), { steps: state.steps, lx, ly, ax, ay }),
      ...(state.steps >= SIGN_LAST ? [filled(wordsOf("circles"), { last: SIGN_LAST, near, far, anear, afar })] : []),
    ].join(" ");
    // Where the last step of gradient descent began.
    const slope = state.steps === 0 ? [0, 0] : sgd.seen[state.steps - 1].slope;
    const length = Math.hypot(...slope) || 1;
    const colour = (label) => lookOf(label).colour;
    const arrow = (label, to, more = {}) => ({ kind: "arrow", from: [0, 0], to, colour: colour(label), ...more });
    const cloud = ({ label, moved }, more) =>
      ({ kind: "dots", x: column(moved, 0), y: column(moved, 1), colour: colour(label), ...more });
    const corners = [...new Set(lion.moved.map(([x, y]) => `${Math.sign(x)} ${Math.sign(y)}`))]
      .map((each) => each.split(" ").map(Number));
    const distances = runs.flatMap((run) => run.distances.filter((each) => each < 1e3));
    return {
      panels: [
        surfacePanel(state.surface, {
          title: `${wordsOf("paths")} · ${said(SURFACES[state.surface].title)}`, ratio: 0.8, alt: note,
          legend: legendOf(labels),
          marks: [sgd, adam, lion].flatMap(({ label, weights }) => pathMarks(label, weights, { r: 2 })),
          handles: [startHandle("start", state.start)],
        }),
        {
          title: wordsOf("square"), ratio: 0.8, alt: note,
          x: { from: -1.7, to: 1.7, ticks: [-1, 0, 1] }, y: { from: -1.3, to: 1.3, ticks: [-1, 0, 1] },
          xlabel: "Δx / η", ylabel: "Δy / η",
          legend: [["Lion", colour("lion")], ["Adam", colour("adam")], [wordsOf("direction"), colour("sgd"), "4 3"]],
          marks: [
            { kind: "line", x: [-1, 1, 1, -1, -1], y: [-1, -1, 1, 1, -1], colour: "--quiet", width: 1, dash: "4 4" },
            cloud(adam, { r: 2, opacity: 0.55 }),
            { kind: "dots", x: column(corners, 0), y: column(corners, 1), colour: colour("lion"), r: 7, opacity: 0.35 },
            arrow("sgd", slope.map((each) => -each / length), { dash: "4 3", width: 1.5 }),
            arrow("adam", last(adam)),
            arrow("lion", last(lion)),
          ],
        },
        {
          title: wordsOf("distance"), wide: true, ratio: 0.34, least: 200, alt: note,
          x: { from: 0, to: Math.max(1, state.steps), whole: true },
          y: around([...distances.filter((each) => each > state.lr / 100), state.lr], { log: true }),
          xlabel: wordsOf("step"), ylabel: "",
          marks: [
            { kind: "across", y: state.lr },
            { kind: "text", x: 0, y: state.lr, text: "η", dx: 6, dy: -5, size: 12, colour: "--quiet" },
            ...[sgd, adam, lion].map(({ label, distances: y }) => lineOf(label, steps, y)),
          ],
        },
      ],
      note,
      table: {
        heads: [stepText(state), "η", wordsOf("short"), "Δx / η", "Δy / η"],
        rows: runs.map((run) => [titleOf(run.label), lookOf(run.label), run.n.lr,
          run.distances[state.steps], ...last(run).map((each) => (Number.isFinite(each) ? each : "–"))]),
      },
    };
  },
  python: (state) => pythonDescent(state.surface, state.start, state.steps,
    ["lion", "adam", "sgd"].map((label) => [label, pythonOptimizer(label, signSettings(label, state))])),
});

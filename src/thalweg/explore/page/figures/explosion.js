// Gradient descent at a rate that diverges, with and without clipping.

const EXPLOSION = [["sgd", "free", "--c1"], ["sgd-norm", "clipped", "--c0"]];

const explosionSettings = (label, state) =>
  settings(label, state, { lr: state["sgd.lr"], ...(label === "sgd" ? {} : { clip_norm: state.limit }) });

figure("explosion", {
  draw(state) {
    const { boxes: [[low, high]], call, minimum: [lowest] } = SURFACES.shifted;
    const runs = EXPLOSION.map(([label, name, colour]) => {
      const n = explosionSettings(label, state);
      const { weights, losses } = train(label, n, lossOf("shifted"), state.start, state.steps);
      return { name, colour, losses, x: column(weights, 0) };
    });
    const lr = state["sgd.lr"];
    const factor = Math.abs(1 - 2 * lr);
    const way = factor > 1 ? "diverges" : factor === 1 ? "circles" : "converges";
    const note = `${filled(wordsOf(way), {
      factor, longest: lr * state.limit, radius: (lr - 0.5) * state.limit,
    })} ${wordsOf("alike")}`;
    const steps = upTo(state.steps + 1);
    const legend = EXPLOSION.map(([, name, colour]) => [wordsOf(name), colour]);
    const lines = (x, y, r) => runs.flatMap((run) => [
      { kind: "line", x: x(run), y: y(run), colour: run.colour, width: 1.5 },
      { kind: "dots", x: x(run), y: y(run), colour: run.colour, r, hollow: run.name === "free" },
    ]);
    const stepAxis = { from: 0, to: 60, whole: true };
    return {
      panels: [{
        wide: true, ratio: 0.5, least: 240, title: wordsOf("curve"), legend, alt: note,
        x: { from: low, to: high }, y: { from: -1.5, to: 26 }, xlabel: "w", ylabel: "f(w)",
        under: [curveOf("shifted", [low, high], "--contour")],
        marks: lines((run) => run.x, (run) => run.losses, 4),
        handles: [{
          at: [state.start[0], call(state.start[0])[0]], label: wordsOf("start"), move: (value) => ({ start: [value] }),
        }],
      }, {
        title: wordsOf("weight"), x: stepAxis, y: { from: low, to: high }, xlabel: wordsOf("step"), ylabel: "w",
        alt: note, marks: [{ kind: "across", y: lowest }, ...lines(() => steps, (run) => run.x, 2.5)],
      }, {
        title: wordsOf("losses"), x: stepAxis, y: around(runs.flatMap(({ losses }) => losses), { log: true }),
        xlabel: wordsOf("step"), ylabel: "f(w)", alt: note, marks: lines(() => steps, (run) => run.losses, 2.5),
      }],
      note,
      table: {
        heads: ["", "w", "f(w)", "|w − 1|", wordsOf("gradient")],
        rows: runs.map(({ name, colour, x, losses }) => {
          const w = x[state.steps];
          return [wordsOf(name), colour, w, losses[state.steps], Math.abs(w - lowest), call(w)[1]];
        }),
      },
    };
  },
  python(state) {
    const runs = EXPLOSION.map(([label, name]) => {
      const extra = label === "sgd" ? {} : { clip_norm: state.limit };
      return [name, pythonOptimizer(label, explosionSettings(label, state), extra)];
    });
    return pythonDescent("shifted", state.start, state.steps, runs);
  },
});

// Gradient descent on x².

figure("descent", {
  draw(state) {
    const surface = SURFACES.parabola;
    const n = settings("sgd", state);
    const run = train("sgd", n, lossOf("parabola"), state.start, state.steps);
    const x = column(run.weights, 0);
    const shrink = Math.abs(1 - 2 * n.lr);
    const way = n.lr >= 1 ? (n.lr === 1 ? "circle" : "away") : n.lr > 0.5 ? "across" : "down";
    return {
      panels: [{
        title: wordsOf("curve"), x: { from: -3.2, to: 3.2 }, y: { from: -0.6, to: 10.4 }, xlabel: "w", ylabel: "f(w)",
        alt: wordsOf(way),
        under: [curveOf("parabola", surface.boxes[0], "--contour")],
        marks: [
          { kind: "line", x, y: run.losses, colour: "--c0", width: 1.5 },
          { kind: "dots", x, y: run.losses, colour: "--c0", r: 4 },
        ],
        handles: [{
          at: [state.start[0], surface.call(state.start[0])[0]], label: wordsOf("start"), colour: "--c1",
          move: (value) => ({ start: [value] }),
        }],
      }, {
        title: wordsOf("loss"), x: { from: 0, to: Math.max(1, state.steps), whole: true },
        y: around(run.losses, { log: true }), xlabel: wordsOf("step"), ylabel: "f(w)",
        marks: [{ kind: "line", x: upTo(x.length), y: run.losses, colour: "--c0" },
          { kind: "dots", x: upTo(x.length), y: run.losses, colour: "--c0" }],
      }],
      note: `${wordsOf(way)} ${wordsOf("factor")} ${numberText(shrink)}.`,
      table: { heads: [wordsOf("step"), "w", "f(w)"],
        rows: [[`${state.steps}`, "--c0", x[state.steps], run.losses[state.steps]]] },
    };
  },
  python: (state) =>
    pythonDescent("parabola", state.start, state.steps, [["SGD", pythonOptimizer("sgd", settings("sgd", state))]]),
});

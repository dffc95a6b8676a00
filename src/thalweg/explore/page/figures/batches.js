// Descent on batches of three sizes: all examples, some, one.

const BATCHES = [["full", "--c0"], ["mini", "--c3", "7 4"], ["one", "--c1", "2 3"]];

const batchSize = (name, state) => ({ full: current.figure.data.count, mini: state.size, one: 1 })[name];

// The same points, and the same order of examples, as in explore/regression.py.
const batchPoints = (noise, seed = 0) => {
  const { count, intercept, slope, reach } = current.figure.data;
  const [places, errors] = [uniform(seed), normal(seed + 1)];
  const x = upTo(count).map(() => reach * (2 * places() - 1));
  return { x, y: x.map((each) => intercept + slope * each + noise * errors()) };
};

const batchOrders = function* (size, seed, count) {
  const numbers = uniform(seed);
  for (;;) {
    const order = upTo(count);
    for (let last = count - 1; last > 0; last -= 1) {
      const other = Math.floor(numbers() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    for (let first = 0; first < count; first += size) yield order.slice(first, first + size);
  }
};

const lossOfBatch = ({ x, y }, batch, [a, b], g = null) => {
  const example = FUNCTIONS["batches.example"];
  const sum = [0, 0, 0];
  for (const i of batch) {
    const found = example(a, b, x[i], y[i]);
    for (let k = 0; k < 3; k += 1) sum[k] += found[k];
  }
  if (g) [g[0], g[1]] = [sum[1] / batch.length, sum[2] / batch.length];
  return sum[0] / batch.length;
};

// Least squares.
const bestLine = ({ x, y }) => {
  const mean = (values) => values.reduce((sum, each) => sum + each, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  const slope = mean(x.map((each, i) => (each - mx) * (y[i] - my))) / mean(x.map((each) => (each - mx) ** 2));
  return [my - slope * mx, slope];
};

const batchRun = (name, points, state) => {
  const all = upTo(points.x.length);
  const orders = batchOrders(batchSize(name, state), state.seed, points.x.length);
  const read = [0];
  const loss = (w, g, step) => {
    if (step >= state.steps) return NaN;
    const batch = orders.next().value;
    read.push(read[step] + batch.length);
    return lossOfBatch(points, batch, w, g);
  };
  const { weights } = train("sgd", settings("sgd", state), loss, state.start, state.steps);
  return { weights, read, losses: weights.map((w) => lossOfBatch(points, all, w)) };
};

figure("batches", {
  draw(state) {
    const points = batchPoints(state.noise);
    const all = upTo(points.x.length);
    const best = bestLine(points);
    const lowest = lossOfBatch(points, all, best);
    const runs = BATCHES.map(([name, colour, dash]) => {
      const run = batchRun(name, points, state);
      return { name, look: { colour, dash }, ...run, above: run.losses.map((loss) => Math.max(0, loss - lowest)) };
    });
    const now = (run) => run.weights[state.steps];
    const needed = (run) => {
      const found = run.above.findIndex((each) => each < 0.1);
      return found < 0 ? filled(wordsOf("more"), { read: run.read[state.steps] }) : `${run.read[found]}`;
    };
    const [full, mini, one] = runs;
    const note = filled(wordsOf("note"), {
      steps: state.steps, ...Object.fromEntries(runs.map((run) => [run.name, `${run.read[state.steps]}`])),
      toFull: needed(full), toMini: needed(mini), toOne: needed(one),
    });
    const legend = runs.map(({ name, look }) => [wordsOf(name), look.colour, look.dash]);
    const steps = upTo(state.steps + 1);
    const high = around([1, full.above[0]], { log: true }).to;
    const lossPanel = (title, x, of) => ({
      title: wordsOf(title), x, y: { from: 1e-6, to: high, log: true }, ylabel: wordsOf("above"), alt: note,
      marks: runs.map((run) => ({ kind: "line", x: of(run), y: run.above, ...run.look, width: 1.75 })),
    });
    const ends = ([a, b]) => [-2, 2].map((x) => a + b * x);
    return {
      panels: [{
        title: wordsOf("plane"), key: state.noise, legend, ratio: 0.8, alt: note,
        x: { from: -2.5, to: 3.5 }, y: { from: -2.5, to: 3.5 }, xlabel: wordsOf("intercept"), ylabel: wordsOf("slope"),
        under: [
          { kind: "contours", call: (a, b) => lossOfBatch(points, all, [a, b]) },
          { kind: "text", x: best[0], y: best[1], text: "+", anchor: "middle", dy: 6, size: 18 },
        ],
        marks: [...runs].reverse().flatMap((run) => [
          { kind: "line", x: column(run.weights, 0), y: column(run.weights, 1), ...run.look, dash: null, width: 1.5,
            opacity: 0.8 },
          { kind: "dots", x: [now(run)[0]], y: [now(run)[1]], colour: run.look.colour, r: 5 },
        ]),
        handles: [startHandle("start", state.start)],
      }, {
        title: wordsOf("line"), ratio: 0.8, alt: note, legend,
        x: { from: -2, to: 2 }, y: { from: -4.5, to: 5 }, xlabel: "x", ylabel: "y",
        marks: [
          { kind: "dots", ...points, colour: "--quiet", r: 3 },
          ...runs.map((run) => ({ kind: "line", x: [-2, 2], y: ends(now(run)), ...run.look })),
        ],
      }, {
        ...lossPanel("bySteps", { from: 0, to: 200, whole: true }, () => steps), xlabel: wordsOf("step"),
      }, {
        ...lossPanel("byExamples", { from: 1, to: 200 * points.x.length, log: true },
          (run) => run.read.map((read) => (read === 0 ? NaN : read))),
        xlabel: wordsOf("examples"),
      }],
      note,
      table: {
        heads: ["", wordsOf("examples"), "a", "b", wordsOf("loss"), wordsOf("above")],
        rows: runs.map((run) => [wordsOf(run.name), run.look, `${run.read[state.steps]}`,
          ...now(run), run.losses[state.steps], numberText(run.above[state.steps], 3)]),
      },
    };
  },
  python: (state) => [
    "from itertools import islice", "", "import torch", "", "import thalweg",
    "from thalweg.explore.regression import batches, points, squared_error", "",
    `x, y = map(torch.from_numpy, points(noise=${pythonNumber(state.noise)}))`, "", "",
    `def train(size, steps=${state.steps}):`,
    `    w = torch.tensor(${pythonList(state.start)}, dtype=torch.float64, requires_grad=True)`,
    `    optimizer = ${pythonOptimizer("sgd", settings("sgd", state))}`,
    `    for batch in islice(batches(size, seed=${state.seed}), steps):`,
    "        optimizer.zero_grad()",
    "        squared_error(w[0], w[1], x[batch], y[batch]).mean().backward()",
    "        optimizer.step()",
    "    return w.tolist()", "", "",
    ...BATCHES.map(([name]) => `print("${name}", train(${batchSize(name, state)}))`),
    "",
  ].join("\n"),
});

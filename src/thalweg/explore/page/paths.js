// Rules as they look in every figure, and their paths over a loss of two weights.

// A colour, and a dash for those who do not see it.
const LOOKS = {
  sgd: { colour: "--c0" },
  momentum: { colour: "--c2", dash: "8 4" },
  nag: { colour: "--c5", dash: "2 4" },
  adagrad: { colour: "--c7" },
  rmsprop: { colour: "--c4", dash: "8 4" },
  adam: { colour: "--c1", dash: "2 4" },
  adamw: { colour: "--c6", dash: "10 3 2 3" },
  lion: { colour: "--c3", dash: "12 3" },
};

// Forms of one rule look alike: "adam-l2" as "adam".
const lookOf = (label) => LOOKS[label.split("-")[0]];

const titleOf = (label) => said(RULES[label].title);

// What a panel's words say of its state: "step 10".
const stepText = (state) => `${wordsOf("step")} ${state.steps}`;

// A loss axis that what diverges does not stretch.
const lossAxis = (runs) => around(
  runs.flatMap(({ losses }) => losses.filter((each) => each <= 1e3 * losses[0])), { log: true });

const lineOf = (label, x, y, more = {}) => ({ kind: "line", x, y, ...lookOf(label), ...more });

const legendOf = (labels) => labels.map((label) => [titleOf(label), lookOf(label).colour, lookOf(label).dash]);

// A path over two weights: the line of its steps, and a dot where each ends.
const pathMarks = (label, weights, more = {}) => {
  const [x, y] = [column(weights, 0), column(weights, 1)];
  return [lineOf(label, x, y, { width: 1.5, opacity: 0.75 }),
    { kind: "dots", x, y, colour: lookOf(label).colour, r: 2.5, ...more }];
};

// A panel with the level lines of a surface, and its minimum.
const surfacePanel = (name, more) => {
  const { boxes: [x, y], call, minimum } = SURFACES[name];
  return {
    x: { from: x[0], to: x[1] }, y: { from: y[0], to: y[1] }, xlabel: "x", ylabel: "y", key: name,
    under: [
      { kind: "contours", call: (a, b) => call(a, b)[0] },
      ...(minimum ? [{ kind: "text", x: minimum[0], y: minimum[1], text: "+", anchor: "middle", dy: 6, size: 18 }]
        : []),
    ],
    ...more,
  };
};

// The handle of a starting point.
const startHandle = (name, at, colour = "--accent") =>
  ({ at, colour, label: wordsOf(name), move: (x, y) => ({ [name]: [x, y] }) });

// A loss of one weight, as a curve.
const curveOf = (surface, [low, high], colour) => {
  const x = spaced(low, high, 161);
  return { kind: "line", x, y: x.map((each) => SURFACES[surface].call(each)[0]), colour };
};

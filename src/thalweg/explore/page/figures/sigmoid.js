// What a sigmoid does with raw, with normalised, and with scaled and shifted values.

const SIGMOID_REACH = 12;
const SIGMOID_FLAT = 0.05;

// How many of 24 equal parts of the axis hold how many values, as bars that stand on the panel's floor.
const barMarks = (values, axis, floor, height, colour) => {
  const parts = 24;
  const width = (axis.to - axis.from) / parts;
  const counts = upTo(parts).map((part) =>
    values.filter((value) => Math.floor((value - axis.from) / width) === part).length);
  return counts.flatMap((count, part) => (count === 0 ? [] : [{
    kind: "rect", x: [axis.from + part * width, axis.from + (part + 1) * width],
    y: [floor, floor + (height * count) / values.length], colour, opacity: 0.3,
  }]));
};

const meanText = (values) => `${fixedText(meanOf(values))} ± ${fixedText(deviationOf(values))}`;

// What enters the sigmoid and what comes to the next layer: without a norm, normalised, with gain and bias.
const sigmoidStages = (state) => {
  const { seed, count, eps } = current.figure.data;
  const draw = normal(seed);
  const x = upTo(count).map(() => state.mean + state.spread * draw());
  const curve = (value) => FUNCTIONS["sigmoid.sigmoid"](value)[0];
  const source = state.place === "before" ? x : x.map(curve);
  const { mean, spread, z } = normalisedLine(source, "batch", eps);
  const [gamma, beta] = state.undo ? [Math.sqrt(spread + eps), mean] : [state.gamma, state.beta];
  const y = z.map((value) => FUNCTIONS["norm.output"](value, gamma, beta)[0]);
  const stage = (name, colour, values, gain, shift) => (state.place === "before"
    ? { name, colour, inside: values, out: values.map(curve), curve }
    : { name, colour, inside: x, out: values, curve: (value) => (curve(value) - shift) * gain });
  const factor = FUNCTIONS["norm.normalised"](1, 0, spread, eps)[0];
  return {
    gamma, beta,
    stages: [
      stage("raw", "--c1", source, 1, 0),
      stage("normalised", "--c0", z, factor, mean),
      stage("scaled", "--c3", y, factor * gamma, mean - beta / (factor * gamma)),
    ],
  };
};

const slopeOf = (value) => FUNCTIONS["sigmoid.sigmoid"](value)[1];
const nearCount = (values) => values.filter((value) => Math.abs(value) <= 1).length;
const flatCount = (values) => values.filter((value) => slopeOf(value) < SIGMOID_FLAT).length;

const sigmoidPanel = ({ name, colour, inside, out, curve }, index, place) => {
  const x = { from: -SIGMOID_REACH, to: SIGMOID_REACH };
  const outside = place === "after" && index > 0;
  const y = outside
    ? around([...out, ...[x.from, x.to].map(curve)], { least: -2, most: 2 }) : { from: -0.18, to: 1.12 };
  const xs = spaced(x.from, x.to, 121);
  const size = y.to - y.from;
  return {
    title: wordsOf(name), x, y, xlabel: wordsOf("value"), ylabel: outside ? wordsOf("out") : wordsOf("curve"), ratio: 0.72,
    key: place,
    alt: `${wordsOf(name)}. ${wordsOf("inside")}: ${meanText(inside)}. ${wordsOf("passed")}: ${meanText(out)}`,
    under: [
      { kind: "rect", x: [-1, 1], y: [y.from, y.to], colour: "--accent", opacity: 0.1 },
      { kind: "text", x: -1.4, y: y.to - 0.1 * size, text: wordsOf("linear"), anchor: "end", size: 12,
        colour: "--accent" },
    ],
    marks: [
      ...barMarks(inside, x, y.from, size, colour),
      { kind: "line", x: xs, y: xs.map(curve), colour: "--contour" },
      { kind: "dots", x: inside, y: out, colour, r: 3.5, opacity: 0.75 },
    ],
  };
};

figure("sigmoid", {
  draw(state) {
    const { gamma, beta, stages } = sigmoidStages(state);
    const [raw, normalised, scaled] = stages.map((each) => each.inside);
    const counts = {
      count: raw.length, raw: flatCount(raw), none: flatCount(normalised), linear: nearCount(normalised),
      flat: flatCount(scaled), line: nearCount(scaled), gamma: numberText(gamma, 3), beta: numberText(beta, 3),
    };
    return {
      panels: stages.map((stage, index) => sigmoidPanel(stage, index, state.place)),
      note: filled(wordsOf(state.place), counts),
      table: {
        heads: ["", "inside", "near", "flat", "slope", "passed"].map((name) => name && wordsOf(name)),
        rows: stages.map(({ name, colour, inside, out }) => [wordsOf(name), colour, meanText(inside),
          `${nearCount(inside)}`, `${flatCount(inside)}`, numberText(meanOf(inside.map(slopeOf)), 3), meanText(out)]),
      },
      hidden: state.undo ? ["gamma", "beta"] : [],
    };
  },
  python({ mean, spread, gamma, beta, place, undo }) {
    const { seed, count } = current.figure.data;
    const source = place === "before" ? "x" : "torch.sigmoid(x)";
    const learned = undo
      ? ["norm.weight.data[:] = (taken.var(correction=0) + norm.eps).sqrt()", "norm.bias.data[:] = taken.mean()"]
      : [`norm.weight.data[:] = ${pythonNumber(gamma)}`, `norm.bias.data[:] = ${pythonNumber(beta)}`];
    const out = (values) => (place === "before" ? `torch.sigmoid(${values})` : values);
    return [
      "from itertools import islice", "", "import torch", "", "import thalweg.nn",
      "from thalweg.explore.chance import normal", "",
      `draws = torch.tensor(list(islice(normal(${seed}), ${count})), dtype=torch.float64)`,
      `x = ${pythonNumber(mean)} + ${pythonNumber(spread)} * draws[:, None]`,
      `taken = ${source}`,
      "norm = thalweg.nn.BatchNorm1d(1, dtype=torch.float64)",
      `normalised = ${out("norm(taken)")}`,
      ...learned,
      `scaled = ${out("norm(taken)")}`,
      'print("raw", torch.sigmoid(x).flatten().tolist())',
      'print("normalised", normalised.flatten().tolist())',
      'print("scaled", scaled.flatten().tolist())',
      "",
    ].join("\n");
  },
});

// One gradient, clipped by value and by norm.

const CLIPS = [["gradient", "--c0"], ["value", "--c1"], ["norm", "--c3"]];

// The angle between two vectors, in degrees.
const turnedBy = ([a, b], [c, d]) => (Math.atan2(Math.abs(a * d - b * c), a * c + b * d) * 180) / Math.PI;

const circle = (radius) => {
  const angles = spaced(0, 2 * Math.PI, 97);
  return { kind: "line", x: angles.map((a) => radius * Math.cos(a)), y: angles.map((a) => radius * Math.sin(a)) };
};

figure("clipping", {
  draw(state) {
    const { gradient, limit } = state;
    const of = Object.fromEntries(CLIPS.map(([name]) =>
      [name, name === "gradient" ? gradient : FUNCTIONS[`clipping.${name}`](...gradient, limit)]));
    const small = Math.abs(gradient[1]) <= Math.abs(gradient[0]) ? 1 : 0;
    const length = Math.hypot(...gradient);
    const largest = Math.max(...gradient.map(Math.abs));
    const note = length <= limit ? wordsOf("within") : largest <= limit ? wordsOf("corner") : filled(wordsOf("cut"), {
      angle: `${numberText(turnedBy(gradient, of.value), 3)}°`, scale: numberText(Math.hypot(...of.norm) / length, 3),
      small: ["x", "y"][small], before: numberText(gradient[small], 3), after: numberText(of.norm[small], 3),
    });
    const legend = CLIPS.map(([name, colour]) => [wordsOf(name), colour]);
    const bar = (group, place, value, colour) => {
      const left = group + 0.27 * (place - 1.5);
      return { kind: "rect", x: [left, left + 0.24], y: [0, value], colour };
    };
    return {
      panels: [{
        title: wordsOf("plane"), legend, ratio: 0.96, alt: note,
        x: { from: -5, to: 5 }, y: { from: -5, to: 5 }, xlabel: "x", ylabel: "y",
        marks: [
          { kind: "rect", x: [-limit, limit], y: [-limit, limit], colour: "--c1", opacity: 0.12 },
          { ...circle(limit), colour: "--c3", width: 1.5, dash: "4 4" },
          { kind: "arrow", from: [0, 0], to: of.gradient, colour: "--c0", width: 2.5 },
          { kind: "arrow", from: [0, 0], to: of.value, colour: "--c1", width: 3 },
          { kind: "arrow", from: [0, 0], to: of.norm, colour: "--c3", width: 3 },
        ],
        handles: [startHandle("gradient", gradient, "--c0")],
      }, {
        title: wordsOf("bars"), legend, ratio: 0.96, alt: note,
        x: { from: -0.6, to: 1.6, ticks: [0, 1], name: (index) => ["x", "y"][index] }, y: { from: -6, to: 6 },
        marks: [
          ...[limit, -limit].map((y) => ({ kind: "across", y })),
          { kind: "across", y: 0, dash: "none" },
          ...[0, 1].flatMap((group) => CLIPS.map(([name, colour], i) => bar(group, i, of[name][group], colour))),
          ...[0, 1].flatMap((group) => CLIPS.map(([name], place) => ({
            kind: "text", x: group + 0.27 * (place - 1.5) + 0.12, y: of[name][group], anchor: "middle", size: 12,
            dy: of[name][group] < 0 ? 14 : -5, text: numberText(of[name][group], 3),
          }))),
        ],
      }],
      note,
      table: {
        heads: ["", "x", "y", wordsOf("length"), wordsOf("turned")],
        rows: CLIPS.map(([name, colour]) => [wordsOf(name), colour, ...of[name], Math.hypot(...of[name]),
          `${numberText(Number(turnedBy(gradient, of[name]).toFixed(6)), 3)}°`]),
      },
    };
  },
  python: ({ gradient, limit }) => [
    "import torch", "", "import thalweg", "", "",
    "def clipped(gradient, **limit):",
    "    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)",
    "    w.grad = torch.tensor(gradient, dtype=torch.float64)",
    "    thalweg.SGD([w], lr=1.0, **limit).step()",
    "    return (-w).tolist()",
    "", "",
    `gradient = ${pythonList(gradient)}`,
    'print("gradient", gradient)',
    `print("value", clipped(gradient, clip_value=${pythonNumber(limit)}))`,
    `print("norm", clipped(gradient, clip_norm=${pythonNumber(limit)}))`,
    "",
  ].join("\n"),
});

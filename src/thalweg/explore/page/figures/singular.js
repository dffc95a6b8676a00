// Singular values through the steps of Newton-Schulz.

const SINGULAR_COLOURS = ["--c0", "--c1", "--c3", "--c5", "--c7"];

const singularStep = (value, [a, b, c]) => FUNCTIONS["singular.step"](value, a, b, c)[0];

// A value after 0, 1, 2, ... of the steps of a list.
const singularPath = (value, entries) => {
  const path = [value];
  for (const entry of entries) path.push(singularStep(path.at(-1), entry));
  return path;
};

// What the first steps make of every value from 0 to 1.
const singularMap = (entries) => {
  const x = spaced(0, 1, 2001);
  return { x, y: x.map((each) => singularPath(each, entries).at(-1)) };
};

figure("singular", {
  draw(state) {
    const { lists, refused, safety, eps } = current.figure.data;
    const list = lists[state.list];
    const steps = Math.min(state.steps, list.length);
    const taken = list.slice(0, steps);
    const [divided] = FUNCTIONS["singular.divisor"](Math.hypot(...state.values), safety, eps);
    const begun = state.values.map((value) => value / divided);
    const paths = begun.map((value) => singularPath(value, taken));
    const now = paths.map((path) => path.at(-1));
    const uphill = refused.slice(0, state.steps);
    const wrong = begun.map((value) => singularPath(value, uphill).at(-1));
    // The value that goes most uphill; where none of them does, 1.
    const worst = wrong.indexOf(Math.min(...wrong));
    const turned = wrong[worst] < 0 ? [begun[worst], wrong[worst]] : [1, singularPath(1, uphill).at(-1)];
    const quotient = (values) => numberText(Math.max(...values) / Math.min(...values), 3);
    const note = [
      filled(wordsOf("note"), { steps, all: list.length, list: state.list, low: numberText(Math.min(...now), 3),
        high: numberText(Math.max(...now), 3), after: quotient(now), begun: quotient(begun) }),
      ...(turned[1] < 0
        ? [filled(wordsOf("why"), { from: numberText(turned[0], 3), to: numberText(turned[1], 3) })] : []),
    ].join(" ");
    const dots = (x, y) => x.map((each, i) => ({ kind: "dots", x: [each], y: [y[i]], colour: SINGULAR_COLOURS[i], r: 5 }));
    const all = singularMap(taken);
    const alone = taken.length ? singularMap(taken.slice(-1)) : { x: [], y: [] };
    const bad = singularMap(uphill);
    const unit = { from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1] };
    return {
      panels: [
        {
          title: `${wordsOf("each")} · ${state.list}`, wide: true, ratio: 0.5, least: 250, alt: note,
          x: { from: -1.3, to: list.length + 0.3, ticks: upTo(list.length + 2).map((i) => i - 1),
            name: (at) => (at < 0 ? "M" : at === 0 ? "÷‖M‖" : numberText(at)) },
          y: { from: 5e-5, to: 3, log: true }, xlabel: wordsOf("step"), ylabel: "σ",
          marks: [
            { kind: "across", y: 1 },
            { kind: "across", x: 0, colour: "--line" },
            ...paths.map((path, i) => ({ kind: "line", x: [-1, ...upTo(path.length)], y: [state.values[i], ...path],
              colour: SINGULAR_COLOURS[i] })),
            ...paths.map((path, i) => ({ kind: "dots", x: upTo(path.length), y: path, colour: SINGULAR_COLOURS[i] })),
          ],
          handles: state.values.map((value, i) => ({
            at: [-1, value], colour: SINGULAR_COLOURS[i], label: filled(wordsOf("drag"), { place: i + 1 }),
            move: (_, to) => ({ values: state.values.map((each, k) => (k === i ? to : each)) }),
          })),
        },
        {
          title: wordsOf("map"), ratio: 0.75, alt: note, x: unit, y: around([0, 1.2, ...all.y, ...alone.y]),
          xlabel: wordsOf("before"), ylabel: wordsOf("after"),
          legend: [[wordsOf("all"), "--ink"], [wordsOf("this"), "--quiet", "5 4"]],
          key: [state.list, steps],
          under: [
            { kind: "across", y: 1 },
            { kind: "line", ...all, colour: "--ink", width: 1.25 },
            { kind: "line", ...alone, colour: "--quiet", dash: "5 4" },
          ],
          marks: dots(begun, now),
        },
        {
          title: wordsOf("refused"), ratio: 0.75, alt: note, x: unit, y: { from: -1.3, to: 1.5 },
          xlabel: wordsOf("before"), ylabel: wordsOf("after"), legend: [[wordsOf("all"), "--ink"]],
          key: uphill.length,
          under: [
            { kind: "rect", x: [0, 1], y: [-1.3, 0], colour: "--c1", opacity: 0.14 },
            { kind: "text", x: 0.03, y: -1.15, text: wordsOf("uphill"), colour: "--quiet", size: 12 },
            { kind: "across", y: 1 },
            { kind: "line", ...bad, colour: "--ink", width: 1.25 },
          ],
          marks: dots(begun, wrong),
        },
      ],
      note,
      table: {
        heads: [wordsOf("value"), "M", wordsOf("norm"), `${wordsOf("step")} ${steps}`, wordsOf("aol")],
        rows: state.values.map((value, i) => [`σ${"₁₂₃₄₅"[i]}`, SINGULAR_COLOURS[i], value, begun[i], now[i], wrong[i]]),
      },
    };
  },
  python({ list, steps, values }) {
    const { lists, safety, eps } = current.figure.data;
    const some = steps < lists[list].length ? `[:${steps}]` : "";
    return [
      "import torch", "", "from thalweg.explore.orthogonalising import REFUSED",
      "from thalweg.rules.muon import newton_schulz", "from thalweg.rules.orthogonalising import LISTS", "",
      `values = torch.tensor(${pythonList(values)}, dtype=torch.float64)`,
      "# A matrix with these singular values, in directions drawn at random.",
      "left, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))",
      "right, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))",
      "gradient = left @ values.diag() @ right", "", "",
      "def singular_values(entries):",
      `    x = gradient / (${safety} * gradient.norm() + ${eps})`,
      "    for entry in entries:",
      "        x = newton_schulz(x, *entry)",
      "    return (left.T @ x @ right.T).diag().tolist()", "", "",
      `print("${list}", singular_values(LISTS["${list}"]${some}))`,
      `print("refused", singular_values(REFUSED${steps < 4 ? `[:${steps}]` : ""}))`,
      "",
    ].join("\n");
  },
});

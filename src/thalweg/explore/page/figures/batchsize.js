// The noise of a batch's mean and deviation, and of one example that is normalised by them.

// As thalweg.explore.normalising.batches.
const batchesOf = (n, count, seed) => {
  const draw = normal(1000 * seed + n);
  return upTo(count).map(() => new Float64Array(n).map(draw));
};

// The estimates of each batch, one dot each, at their n; those of the chosen n stand out.
const estimatePanel = (name, sizes, n, found, y, truth, under) => ({
  title: wordsOf(name), x: { from: 0.75, to: 85, log: true, ticks: [1, 2, 4, 8, 16, 32, 64], name: String },
  y, xlabel: wordsOf("size"), ylabel: name === "mean" ? "μ" : "σ", under,
  marks: [
    ...sizes.filter((size) => size !== n).map((size) => ({
      kind: "dots", x: found.get(size).map(() => size), y: found.get(size), colour: "--c0", r: 2.5, opacity: 0.3 })),
    { kind: "dots", x: found.get(n).map(() => n), y: found.get(n), colour: "--c1", r: 3.5, opacity: 0.7 },
    { kind: "across", y: truth },
  ],
});

const spanText = (values) => [Math.min(...values), Math.max(...values)].map((value) => fixedText(value));

figure("batchsize", {
  draw(state) {
    const { n, value, seed } = state;
    const { count, sizes, others, eps } = current.figure.data;
    const drawn = new Map([...new Set([...sizes, n])].map((size) => [size, batchesOf(size, count, seed)]));
    const estimates = new Map([...drawn].map(([size, found]) =>
      [size, found.map((batch) => statistics(batch, "batch"))]));
    const each = (pick) => new Map([...estimates].map(([size, found]) => [size, found.map(pick)]));
    const z = drawn.get(n).map((batch) => normalisedLine([value, ...batch.slice(1)], "batch", eps).z[0]);
    const [layer, rms] = ["layer", "rms"].map((norm) => normalisedLine([value, ...others], norm, eps).z[0]);
    const x = upTo(count).map((batch) => batch + 1);
    const along = [0, count + 1];
    const usual = spaced(0, Math.log10(64), 40).map((power) => 10 ** power);
    const [low, high] = spanText(z);
    const said = n === 1 ? "one" : n === 2 ? "two" : "some";
    const note = filled(wordsOf(said), { n, low, high, error: numberText(1 / Math.sqrt(n), 2),
      layer: fixedText(layer), rms: fixedText(rms) });
    const ends = [["BatchNorm", meanOf(z), "--c1"], ["LayerNorm", layer, "--c2"], ["RMSNorm", rms, "--c3"],
      [wordsOf("all"), value, "--quiet"]];
    const places = apart(ends.map(([, y]) => y), 0.55);
    return {
      panels: [
        estimatePanel("mean", sizes, n, each((found) => found.mean), { from: -3.2, to: 3.2 }, 0, [
          { kind: "line", x: usual, y: usual.map((size) => 1 / Math.sqrt(size)), colour: "--contour", dash: "5 4" },
          { kind: "line", x: usual, y: usual.map((size) => -1 / Math.sqrt(size)), colour: "--contour", dash: "5 4" },
          { kind: "text", x: 5.5, y: 1 / Math.sqrt(5), dy: -14, text: "±1/√n", size: 12, colour: "--contour" },
        ]),
        estimatePanel("deviation", sizes, n, each((found) => found.spread ** 0.5), { from: -0.1, to: 2.4 }, 1),
        {
          title: wordsOf("z"), x: { from: 0, to: count + 20, ticks: [1, 10, 20, 30, 40] }, y: { from: -3.2, to: 3.2 },
          xlabel: wordsOf("batch"), ylabel: "z", wide: true, ratio: 0.4, least: 240, alt: note,
          marks: [
            { kind: "line", x: along, y: [value, value], colour: "--quiet", width: 1, dash: "4 4" },
            { kind: "line", x: along, y: [layer, layer], colour: "--c2" },
            { kind: "line", x: along, y: [rms, rms], colour: "--c3", dash: "7 4" },
            { kind: "dots", x, y: z, colour: "--c1", r: 4 },
            ...ends.map(([words, , colour], i) => ({
              kind: "text", x: count + 1.4, y: places[i], dy: 4, text: words, size: 12, colour })),
          ],
        },
      ],
      note,
      table: {
        heads: ["norm", "average", "spread", "least", "most"].map(wordsOf),
        rows: [
          ["BatchNorm", "--c1", meanOf(z), deviationOf(z), Math.min(...z), Math.max(...z)],
          ["LayerNorm", "--c2", layer, 0, layer, layer],
          ["RMSNorm", "--c3", rms, 0, rms, rms],
        ],
      },
    };
  },
  python({ n, value, seed }) {
    const { count, others, eps } = current.figure.data;
    const single = n === 1;
    return [
      "import torch", "", "import thalweg.nn",
      `from thalweg.explore.normalising import batches${single ? ", normalise" : ""}`, "",
      `drawn = torch.from_numpy(batches(${n}, ${count}, ${seed}))`,
      `drawn[:, 0] = ${pythonNumber(value)}`,
      ...(single
        ? ["# torch's layer, and so ours, refuses a batch of one in training.",
          'z = [normalise(batch[:, None], "batch").z[0, 0] for batch in drawn]',
          'print("BatchNorm", [each.item() for each in z])']
        : ["norm = thalweg.nn.BatchNorm1d(1, dtype=torch.float64)",
          'print("BatchNorm", [norm(batch[:, None])[0].item() for batch in drawn])']),
      `example = torch.tensor(${pythonList([value, ...others])}, dtype=torch.float64)`,
      `layer = thalweg.nn.LayerNorm(${others.length + 1}, dtype=torch.float64)`,
      `rms = thalweg.nn.RMSNorm(${others.length + 1}, eps=${pythonNumber(eps)}, dtype=torch.float64)`,
      'print("LayerNorm", layer(example)[:1].tolist())',
      'print("RMSNorm", rms(example)[:1].tolist())',
      "",
    ].join("\n");
  },
});

// Three norms of one table: which numbers are taken together, and which outputs move.

const NORM_ROWS = 5;
const NORM_COLUMNS = 4;
const NORM_TITLES = { batch: "BatchNorm", layer: "LayerNorm", rms: "RMSNorm" };

const tableRows = (numbers) =>
  upTo(NORM_ROWS).map((row) => numbers.slice(row * NORM_COLUMNS, (row + 1) * NORM_COLUMNS));

// A table of numbers as coloured cells: `most` is the size of the strongest colour.
const cellMarks = (rows, most) => rows.flatMap((row, r) => row.flatMap((value, c) => [
  { kind: "rect", x: [c + 0.02, c + 0.98], y: [r + 0.02, r + 0.98], colour: value < 0 ? "--c0" : "--c1",
    opacity: Math.min(0.5, (0.5 * Math.abs(value)) / most) },
  { kind: "text", x: c + 0.5, y: r + 0.5, dy: 5, text: fixedText(value), anchor: "middle" },
]));

const tableHeads = () => [
  ...upTo(NORM_COLUMNS).map((c) => ({ kind: "text", x: c + 0.5, y: -0.12,
    text: c ? `${c + 1}` : `${wordsOf("feature")} 1`,
    anchor: "middle", size: 11, colour: "--quiet" })),
  ...upTo(NORM_ROWS).map((r) => ({ kind: "text", x: -0.08, y: r + 0.5, dy: 4, text: `${wordsOf("example")} ${r + 1}`,
    anchor: "end", size: 11, colour: "--quiet" })),
];

const readOut = (title, rows) =>
  [title, ...rows.map((row) => row.map((value) => fixedText(value)).join("; "))].join(". ");

// Around column `index` of the table, or around its row.
const lineOutline = (index, byColumn) => {
  const [x0, x1, y0, y1] = byColumn ? [index, index + 1, 0, NORM_ROWS] : [0, NORM_COLUMNS, index, index + 1];
  return { kind: "line", x: [x0, x1, x1, x0, x0], y: [y0, y0, y1, y1, y0], colour: "--ink", width: 2.5 };
};

// Mean and spread beside each line, or below it.
const lineMarks = (lines, byColumn, norm) => lines.flatMap(({ mean, spread }, index) => {
  const place = byColumn
    ? { x: index + 0.5, y: NORM_ROWS, anchor: "middle" } : { x: NORM_COLUMNS + 0.1, y: index + 0.5 };
  const texts = norm === "rms" ? [`σ ${fixedText(spread ** 0.5)}`]
    : [`μ ${fixedText(mean)}`, `σ ${fixedText(spread ** 0.5)}`];
  const first = byColumn ? 16 : texts.length === 1 ? 4 : -3;
  return texts.map((words, i) =>
    ({ kind: "text", ...place, dy: first + 14 * i, text: words, size: 11, colour: "--quiet" }));
});

figure("norms", {
  draw(state) {
    const { norm, eps } = state;
    const byColumn = norm === "batch";
    const [row, column] = [Math.round(state.cell[0]), Math.min(NORM_COLUMNS - 1, Math.round(state.cell[1]))];
    const index = byColumn ? column : row;
    const rows = tableRows(state.x);
    const { lines, z } = normalisedTable(rows, norm, eps);
    const first = normalisedTable(tableRows(startOf(current.figure).x), norm, eps).z;
    const line = lines[index];
    const x = byColumn ? rows.map((each) => each[index]) : rows[index];
    const spread = line.spread ** 0.5;
    const last = x.length - 1;
    // The words beside the last pair must not meet.
    const atX = line.z[last] + Math.sign(x[last] - line.z[last] || 1) * Math.max(1.5, Math.abs(x[last] - line.z[last]));
    const again = statistics(line.z, norm).spread ** 0.5;
    const inTable = (r, c) => (byColumn ? r * NORM_COLUMNS + index : index * NORM_COLUMNS + c);
    const changed = (place, value) => state.x.map((old, i) => (i === place ? value : old));
    const moved = z.flatMap((each, r) => each.flatMap((value, c) => {
      const by = value - first[r][c];
      return Math.abs(by) < 0.005 ? [] : [{ kind: "text", x: c + 0.5, y: r + 0.5, dy: 19, anchor: "middle", size: 11,
        text: `${by > 0 ? "▲" : "▼"} ${fixedText(Math.abs(by))}` }];
    }));
    const table = { x: { from: -0.78, to: 4.85 }, y: { from: 5.95, to: -0.5 }, bare: true, ratio: 0.88 };
    const among = { from: -0.6, to: x.length + 0.25, ticks: upTo(x.length),
      name: (i) => `${i + 1}` };
    const all = Object.keys(NORM_TITLES).map((name) => {
      const found = normalisedTable(rows, name, eps);
      const own = found.lines[name === "batch" ? column : row];
      return [NORM_TITLES[name], null, name === "rms" ? "–" : own.mean, own.spread ** 0.5, rows[row][column],
        found.z[row][column]];
    });
    const filledIn = { line: index + 1, mean: numberText(line.mean, 3), spread: numberText(spread, 3),
      after: numberText(again, 3) };
    return {
      panels: [{
        ...table, title: wordsOf("before"), alt: readOut(wordsOf("before"), rows),
        marks: [...cellMarks(rows, 8), ...tableHeads(), ...lineMarks(lines, byColumn, norm),
          lineOutline(index, byColumn)],
        handles: [{
          at: [column + 0.85, row + 0.17], step: [1, -1], colour: "--ink", label: wordsOf("choose"),
          move: (to, down) => ({ cell: [down - 0.17, to - 0.85].map(Math.round) }),
        }],
      }, {
        ...table, title: wordsOf("after"), alt: readOut(wordsOf("after"), z),
        marks: [...cellMarks(z, 2), ...tableHeads(), lineOutline(index, byColumn), ...moved,
          ...lineMarks(lines.map((each) => statistics(each.z, norm)), byColumn, norm)],
      }, {
        title: wordsOf("line"), x: among, y: { from: -6.4, to: 10.4 }, wide: true, ratio: 0.4, least: 250,
        xlabel: wordsOf(byColumn ? "examples" : "features"), ylabel: "x, z", alt: filled(wordsOf(norm), filledIn),
        marks: [
          { kind: "rect", x: [-0.6, x.length + 0.25], y: [line.mean - spread, line.mean + spread], colour: "--c1",
            opacity: 0.14 },
          { kind: "across", y: line.mean, colour: "--c1" },
          { kind: "text", x: -0.55, y: line.mean + spread, dy: -5, text: norm === "rms" ? "σ" : "μ + σ",
            size: 12, colour: "--c1" },
          { kind: "text", x: -0.55, y: line.mean - spread, dy: 14, text: norm === "rms" ? "−σ" : "μ − σ",
            size: 12, colour: "--c1" },
          ...x.map((value, i) => ({ kind: "arrow", from: [i, value], to: [i + 0.28, line.z[i]], colour: "--quiet",
            width: 1, dash: "3 3", opacity: 0.8 })),
          { kind: "dots", x: x.map((_, i) => i + 0.28), y: line.z, colour: "--c0", r: 5 },
          { kind: "text", x: last + 0.28, y: atX, dx: 10, dy: 4, text: wordsOf("said-x"), size: 12,
            colour: "--accent" },
          { kind: "text", x: last + 0.28, y: line.z[last], dx: 10, dy: 4, text: wordsOf("said-z"), size: 12,
            colour: "--c0" },
        ],
        handles: x.map((value, i) => ({
          at: [i, value], step: [0, 0.1], label: `${wordsOf(byColumn ? "example" : "feature")} ${i + 1}`,
          move: (_, to) => ({ x: changed(inTable(i, i), Math.round(to * 20) / 20) }),
        })),
      }],
      note: filled(wordsOf(norm), filledIn),
      table: { heads: ["norm", "mean", "spread", "chosen", "output"].map(wordsOf), rows: all },
    };
  },
  python: ({ x, eps }) => [
    "import torch", "", "import thalweg.nn", "",
    "x = torch.tensor(", "    [", ...tableRows(x).map((row) => `        ${pythonList(row)},`), "    ],",
    "    dtype=torch.float64,", ")",
    "norms = {",
    `    "BatchNorm": thalweg.nn.BatchNorm1d(4, eps=${pythonNumber(eps)}, dtype=torch.float64),`,
    `    "LayerNorm": thalweg.nn.LayerNorm(4, eps=${pythonNumber(eps)}, dtype=torch.float64),`,
    `    "RMSNorm": thalweg.nn.RMSNorm(4, eps=${pythonNumber(eps)}, dtype=torch.float64),`,
    "}",
    "for name, norm in norms.items():",
    "    print(name, norm(x).flatten().tolist())",
    "",
  ].join("\n"),
});

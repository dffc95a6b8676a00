// The norm's place in a transformer block, and the gradient's size by depth.

// From the input upwards; "+" adds what came in at the "|" before it.
const PLACEMENTS = {
  pre: { colour: "--c0", parts: ["|", "norm", "attention", "+", "|", "norm", "feed", "+"] },
  post: { colour: "--c1", dash: "8 4", parts: ["|", "attention", "+", "norm", "|", "feed", "+", "norm"] },
  sandwich: { colour: "--c3", dash: "2 4",
    parts: ["|", "norm", "attention", "norm", "+", "|", "norm", "feed", "norm", "+"] },
};

const PART_HEIGHTS = { "|": 0.55, "+": 0.75 };
const BOX_HALF = 1.5;

// One column of boxes and arrows around x = middle, for parts from below.
const blockMarks = (middle, { colour, parts }, name) => {
  const marks = [
    { kind: "text", x: middle, y: 11.45, text: name, anchor: "middle", bold: true, colour },
    { kind: "text", x: middle, y: -0.62, text: wordsOf("input"), anchor: "middle", size: 13 },
  ];
  const bend = middle - BOX_HALF - 0.28;
  const line = (x, y) => ({ kind: "line", x, y, colour: "--quiet", width: 1.5 });
  let y = 0;
  let below = -0.25;
  let left = 0;
  for (const part of parts) {
    const height = PART_HEIGHTS[part] ?? 1.15;
    const centre = y + height / 2;
    if (part === "|") {
      left = centre;
    } else if (part === "+") {
      marks.push({ kind: "arrow", from: [middle, below], to: [middle, centre - 0.26], colour: "--quiet", width: 1.5 });
      marks.push(line([middle, bend, bend], [left, left, centre]));
      marks.push({ kind: "arrow", from: [bend, centre], to: [middle - 0.24, centre], colour: "--quiet", width: 1.5 });
      marks.push({ kind: "dots", x: [middle], y: [centre], colour: "--quiet", r: 8, hollow: true });
      marks.push({ kind: "text", x: middle, y: centre, dy: 4.5, text: "+", anchor: "middle", size: 13 });
      below = centre + 0.26;
    } else {
      const norm = part === "norm";
      marks.push({ kind: "arrow", from: [middle, below], to: [middle, centre - 0.4], colour: "--quiet", width: 1.5 });
      marks.push({ kind: "rect", x: [middle - BOX_HALF, middle + BOX_HALF], y: [centre - 0.4, centre + 0.4],
        colour: "--page" });
      marks.push({ kind: "rect", x: [middle - BOX_HALF, middle + BOX_HALF], y: [centre - 0.4, centre + 0.4],
        colour: norm ? colour : "--raised", edge: norm ? colour : "--quiet", opacity: norm ? 0.3 : 1 });
      marks.push({ kind: "text", x: middle, y: centre, dy: 4, text: wordsOf(`box-${part}`), anchor: "middle",
        size: 11 });
      below = centre + 0.4;
    }
    y += height;
  }
  marks.push({ kind: "arrow", from: [middle, below], to: [middle, Math.max(y + 0.35, below + 0.6)], colour: "--quiet",
    width: 1.5 });
  return marks;
};

figure("depth", {
  draw(state) {
    const layers = Number(state.layers);
    const block = Math.min(state.block, layers);
    const found = Object.entries(current.figure.data.norms)
      .map(([name, byDepth]) => ({ name, norms: byDepth[state.layers], ...PLACEMENTS[name] }));
    const x = upTo(layers).map((i) => i + 1);
    const ends = apart(found.map(({ norms }) => Math.log10(norms[layers - 1])), 0.07);
    const all = Object.values(current.figure.data.norms).flatMap((byDepth) => Object.values(byDepth).flat());
    const filledIn = { block, layers };
    for (const { name, norms } of found) {
      filledIn[name] = numberText(norms[block - 1], 3);
      filledIn[`${name}_ratio`] = numberText(norms[layers - 1] / norms[0], 2);
    }
    const note = `${filled(wordsOf("note"), filledIn)} ${wordsOf("how")}`;
    return {
      panels: [{
        title: wordsOf("chart"),
        x: { from: 0.5, to: layers * 1.45 + 0.5, ticks: x.filter((i) => i % (layers / 6) === 0) },
        y: { from: Math.min(...all) / 1.15, to: Math.max(...all) * 1.15, log: true,
          ticks: [0.5, 1, 2, 3, 5].filter((each) => each < Math.max(...all)),
          name: numberText },
        xlabel: wordsOf("block"), ylabel: wordsOf("norm"), ratio: 0.9, alt: note,
        marks: [
          { kind: "across", x: block },
          ...found.flatMap(({ name, norms, colour, dash }, index) => [
            { kind: "line", x, y: norms, colour, dash },
            { kind: "dots", x: [block], y: [norms[block - 1]], colour, r: 5 },
            { kind: "text", x: layers, y: 10 ** ends[index], dx: 9, dy: 4, text: name, size: 12, colour },
          ]),
        ],
        handles: [{
          at: [block, Math.max(...all) * 1.15], step: [1, 0], label: wordsOf("block"),
          move: (to) => ({ block: Math.round(Math.min(to, layers)) }),
        }],
      }, {
        title: wordsOf("diagram"), x: { from: -0.25, to: 11.2 }, y: { from: -0.8, to: 12 }, bare: true, ratio: 1.05,
        key: "blocks", alt: found.map(({ name, parts }) =>
          `${name}: ${parts.filter((part) => part !== "|").map((part) =>
            (part === "+" ? "+" : wordsOf(`box-${part}`))).join(", ")}`).join(". "),
        under: found.flatMap((each, index) => blockMarks(2 + 3.75 * index, each, each.name)), marks: [],
      }],
      note,
      table: {
        heads: [wordsOf("placement"), filled(wordsOf("here"), { block }), ...["first", "last", "ratio"].map(wordsOf)],
        rows: found.map(({ name, colour, norms }) =>
          [name, colour, norms[block - 1], norms[0], norms[layers - 1], numberText(norms[layers - 1] / norms[0], 2)]),
      },
    };
  },
  python: ({ layers }) => [
    "from thalweg.explore.depth import measured", "",
    'for norm in ("pre", "post", "sandwich"):',
    `    print(norm, measured(norm, ${layers}).tolist())`,
    "",
  ].join("\n"),
});

// Virtual studies drawn from the trials of a finished comparison, as thalweg.explore.valley draws them.

// A task with its values, which are stored as whole numbers (thalweg.explore.valley).
const unpacked = (task) => {
  const { scale, ideal, higher, rules } = task;
  const plain = (values) => values.map((whole) => (higher ? ideal - whole / scale : ideal + whole / scale));
  const fresh = (kept) => Object.fromEntries(Object.entries(kept).map(([trial, values]) => [trial, plain(values)]));
  return { ...task, rules: rules.map((rule) => ({ ...rule, values: plain(rule.values), fresh: fresh(rule.fresh) })) };
};

// Which of `size` trials are drawn: 1, else 0.
const drawnTrials = (n, size, next) => {
  const others = new Uint8Array(size - 1);
  const drawn = new Uint8Array(size);
  for (let i = 0; i < others.length; i += 1) others[i] = i + 1;
  drawn[0] = 1;
  for (let i = 0; i < n - 1; i += 1) {
    const j = i + Math.floor(next() * (others.length - i));
    drawn[others[j]] = 1;
    others[j] = others[i];
  }
  return drawn;
};

// The drawn trials, and for each rule the one that is best on validation and its value.
const virtualStudy = (rules, n, next) => {
  const drawn = drawnTrials(n, rules[0].values.length, next);
  const again = Math.floor(next() * rules[0].fresh[0].length);
  const chosen = rules.map(({ ranking }) => ranking.find((trial) => drawn[trial]));
  const values = rules.map(({ fresh, values: own }, rule) => {
    const trial = chosen[rule];
    return fresh[trial] ? fresh[trial][again] : own[trial];
  });
  return { drawn, chosen, values };
};

// Places of the best values: more than one where they tie.
const bestOf = (values, higher) => {
  const best = higher ? Math.max(...values) : Math.min(...values);
  const places = [];
  values.forEach((value, index) => { if (value === best) places.push(index); });
  return places;
};

const virtualWins = (studies, count, higher) => {
  const won = new Array(count).fill(0);
  for (const { values } of studies) {
    const best = bestOf(values, higher);
    for (const index of best) won[index] += 1 / best.length;
  }
  return won.map((each) => each / studies.length);
};

// Distance to what cannot be beaten, on a logarithmic axis whose best is at the right. Ticks: as many as have room.
const distanceAxis = ({ share, higher, ideal }, shown) => {
  const gaps = shown.map((each) => Math.abs(each - ideal)).filter((gap) => gap > 0);
  const [from, to] = [Math.max(...gaps) * 1.15, Math.min(...gaps) / 1.15];
  const value = (gap) => ideal + (higher ? -gap : gap);
  // A tick's value has one digit of its gap.
  const tick = ([digit, power]) => Math.abs(Math.round(value(digit * 10 ** power) / 10 ** power) * 10 ** power - ideal);
  const set = (digits, every) => upTo(40).map((k) => k - 20).filter((power) => power % every === 0)
    .flatMap((power) => digits.map((digit) => tick([digit, power]))).filter((gap) => gap < from && gap > to);
  const ticks = [set([1, 2, 5], 1), set([1, 3], 1), ...[1, 2, 3, 4].map((every) => set([1], every))]
    .find((each) => each.length <= 5) ?? [];
  const name = (gap) => (share ? percentText(value(gap), gap < 0.01 ? 1 : 0) : numberText(value(gap)));
  return { from, to, log: true, ticks, name };
};

// With one digit less than is stored.
const valueText = (value, { share, scale }) =>
  (share ? percentText(value, 1) : fixedText(value, Math.round(Math.log10(scale)) - 1));

// The seeds' own deviation, as intervals of the comparison take it.
const spreadText = (values, task) =>
  valueText(Math.sqrt((deviationOf(values) ** 2 * values.length) / (values.length - 1)), task);

// Of a rule, in pixels.
const ROW = 22;

figure("valley", {
  draw(state) {
    const { study, studies } = current.figure.data;
    const task = unpacked(study.tasks.find((each) => each.task === state.task));
    const { rules, higher } = task;
    const next = uniform(state.seed);
    const found = upTo(studies).map(() => virtualStudy(rules, state.n, next));
    const { drawn, chosen, values } = found[0];
    const won = virtualWins(found, rules.length, higher);
    // All that was measured, and of that what a draw may choose.
    const fresh = rules.flatMap((rule) => Object.values(rule.fresh).flat());
    const x = distanceAxis(task, [...fresh, ...rules.flatMap((rule) => rule.values)]);
    const again = distanceAxis(task, [...fresh, ...rules.flatMap((rule) => rule.ranking.map((trial) => rule.values[trial]))]);
    // What nothing can beat has no place on a logarithmic axis: it stands at the end.
    const gap = (value, axis) => Math.max(axis.to, Math.abs(value - task.ideal));
    const far = (value) => gap(value, again);
    const y = { from: rules.length - 0.4, to: -0.6, ticks: upTo(rules.length), name: (rule) => rules[rule].name };
    const seeds = rules.map((rule, place) => rule.fresh[chosen[place]] ?? [rule.values[chosen[place]]]);
    const best = bestOf(values, higher);
    const metric = wordsOf(task.metric);
    const most = bestOf(won, true)[0];
    const names = (places) => places.map((place) => rules[place].name).join(", ");
    const sentences = [
      filled(wordsOf("winner"), { winner: names(best) }),
      filled(wordsOf("often"), { studies, most: rules[most].name, share: percentText(won[most]) }),
      ...(state.n > task.largest ? [filled(wordsOf("beyond"), task)] : []),
      filled(wordsOf("verdict"), task),
    ];
    const dots = (rule, trials, more) => ({
      kind: "dots", x: trials.map((trial) => gap(rules[rule].values[trial], x)),
      y: trials.map((trial) => rule + (((trial * 7) % 5) - 2) * 0.11), colour: `--c${rule % 8}`, ...more });
    const longest = Math.max(...rules.map(({ name }) => name.length));
    const common = { y, ratio: 0, least: ROW * rules.length + 52, left: 14 + 7.8 * longest, key: task.task };
    return {
      panels: [{
        ...common, title: wordsOf("trials"), x, xlabel: metric, alt: sentences[0],
        marks: upTo(rules.length).flatMap((rule) => {
          const all = upTo(rules[rule].values.length);
          return [
            dots(rule, all.filter((trial) => !drawn[trial]), { r: 2, opacity: 0.35 }),
            dots(rule, all.filter((trial) => drawn[trial] && trial !== chosen[rule]), { r: 3.5, opacity: 0.9 }),
            dots(rule, [chosen[rule]], { r: 6 }),
            dots(rule, [chosen[rule]], { r: 2, colour: "--page" }),
          ];
        }),
      }, {
        ...common, title: wordsOf("again"), x: again, xlabel: metric, alt: sentences[0],
        marks: seeds.flatMap((each, rule) => [
          { kind: "line", x: [Math.min(...each), Math.max(...each)].map(far), y: [rule, rule], colour: `--c${rule % 8}`,
            width: 1.5 },
          { kind: "dots", x: each.map(far), y: each.map(() => rule), colour: `--c${rule % 8}`, r: 3.5, opacity: 0.6 },
          { kind: "line", x: [meanOf(each), meanOf(each)].map(far), y: [rule - 0.2, rule + 0.2], colour: "--ink" },
          ...(best.includes(rule)
            ? [{ kind: "text", x: far(values[rule]), y: rule, dy: 5, text: "★", anchor: "middle", size: 15 }] : []),
        ]),
      }, {
        ...common, title: wordsOf("wins"), x: { from: 0, to: 1.12, ticks: [0, 0.25, 0.5, 0.75, 1], name: (share) => percentText(share) },
        xlabel: wordsOf("share"),
        alt: rules.map(({ name }, rule) => `${name} ${percentText(won[rule])}`).join("; "),
        marks: won.flatMap((share, rule) => [
          { kind: "rect", x: [0, share], y: [rule - 0.25, rule + 0.25], colour: `--c${rule % 8}`, opacity: 0.85 },
          { kind: "text", x: share, y: rule, dx: 6, dy: 4, text: percentText(share), size: 12 },
        ]),
      }],
      note: sentences.join(" "),
      table: {
        heads: ["rule", "trial", "value", "mean", "deviation", "won"].map(wordsOf),
        rows: rules.map(({ name }, rule) => [name, `--c${rule % 8}`, `${chosen[rule]}`, valueText(values[rule], task),
          valueText(meanOf(seeds[rule]), task),
          seeds[rule].length > 1 ? spreadText(seeds[rule], task) : "–", percentText(won[rule])]),
      },
    };
  },
  python: ({ task, n, seed }) => [
    "from thalweg.explore.valley import stored, virtual_studies, wins", "",
    `(task,) = (each for each in stored()["tasks"] if each["task"] == "${task}")`,
    `chosen, values = virtual_studies(task, ${n}, seed=${seed}, count=500)`,
    'print("trials", chosen[0].tolist())',
    'print("values", values[0].tolist())',
    'print("wins", wins(values, task["higher"]).tolist())',
    "",
  ].join("\n"),
});

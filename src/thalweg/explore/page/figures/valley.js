// Virtual studies drawn from the trials of a finished comparison, as thalweg.explore.valley draws them.

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

// Distance to what cannot be beaten, on a logarithmic axis whose best is at the right.
const distanceAxis = ({ share, ideal, rules }) => {
  const all = rules.flatMap(({ values, fresh }) => [values, ...Object.values(fresh)].flat());
  const gaps = all.map((value) => Math.abs(value - ideal));
  return share
    ? { from: 1, to: 0.003, log: true, ticks: [0.5, 0.1, 0.02, 0.005],
      name: (gap) => percentText(ideal - gap, gap < 0.01 ? 1 : 0) }
    : { from: Math.max(...gaps) * 1.3, to: Math.min(...gaps) / 1.6, log: true,
      ticks: [100, 10, 1, 0.1, 0.01].filter((gap) => gap <= Math.max(...gaps) && gap >= Math.min(...gaps) / 1.6),
      name: (gap) => numberText(ideal + gap) };
};

// The seeds' own deviation, as intervals of the comparison take it.
const spreadText = (values, task) => {
  const found = Math.sqrt((deviationOf(values) ** 2 * values.length) / (values.length - 1));
  return task.share ? percentText(found, 1) : fixedText(found);
};

const valueText = (value, task) => (task.share ? percentText(value, 1) : fixedText(value));

figure("valley", {
  draw(state) {
    const { study, studies } = current.figure.data;
    const task = study.tasks.find((each) => each.task === state.task);
    const { rules, higher } = task;
    const next = uniform(state.seed);
    const found = upTo(studies).map(() => virtualStudy(rules, state.n, next));
    const { drawn, chosen, values } = found[0];
    const won = virtualWins(found, rules.length, higher);
    const x = distanceAxis(task);
    const gap = (value) => Math.max(x.to, Math.min(x.from, Math.abs(value - task.ideal)));
    const y = { from: rules.length - 0.3, to: -0.75, ticks: [] };
    const headings = (left) => rules.map(({ name }, rule) =>
      ({ kind: "text", x: left, y: rule - 0.36, dx: 4, text: name, size: 12, colour: `--c${rule % 8}` }));
    const seeds = rules.map(({ fresh, values: own }, rule) => fresh[chosen[rule]] ?? [own[chosen[rule]]]);
    const best = bestOf(values, higher);
    const metric = wordsOf(task.metric);
    const most = bestOf(won, true)[0];
    const names = (places) => places.map((place) => rules[place].name).join(", ");
    const sentences = [
      filled(wordsOf("winner"), { winner: names(best) }),
      filled(wordsOf("often"), { studies, most: rules[most].name, share: percentText(won[most]) }),
      ...(state.n > task.budget ? [filled(wordsOf("beyond"), { budget: task.budget })] : []),
      filled(wordsOf("verdict"), { verdict: task.verdict, budget: task.budget, told: task.told, pairs: task.pairs }),
    ];
    const dots = (rule, trials, more) => ({
      kind: "dots", x: trials.map((trial) => gap(rules[rule].values[trial])),
      y: trials.map((trial) => rule + (((trial * 7) % 5) - 2) * 0.07), colour: `--c${rule % 8}`, ...more });
    const common = { y, ratio: 0.95, key: task.task };
    return {
      panels: [{
        ...common, title: wordsOf("trials"), x, xlabel: metric, alt: sentences[0], under: headings(x.from),
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
        ...common, title: wordsOf("again"), x, xlabel: metric, alt: sentences[0], under: headings(x.from),
        marks: seeds.flatMap((each, rule) => [
          { kind: "line", x: [Math.min(...each), Math.max(...each)].map(gap), y: [rule, rule], colour: `--c${rule % 8}`,
            width: 1.5 },
          { kind: "dots", x: each.map(gap), y: each.map(() => rule), colour: `--c${rule % 8}`, r: 3.5, opacity: 0.6 },
          { kind: "line", x: [meanOf(each), meanOf(each)].map(gap), y: [rule - 0.2, rule + 0.2], colour: "--ink" },
          ...(best.includes(rule)
            ? [{ kind: "text", x: gap(values[rule]), y: rule, dy: -8, text: "★", anchor: "middle" }] : []),
        ]),
      }, {
        ...common, title: wordsOf("wins"), x: { from: 0, to: 1.12, ticks: [0, 0.25, 0.5, 0.75, 1], name: (share) => percentText(share) },
        xlabel: wordsOf("share"), under: headings(0),
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

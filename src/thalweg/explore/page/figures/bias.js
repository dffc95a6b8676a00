// Adam's averages of a sequence of gradients, and its step.

const QUIET = { share: 0.01, at: 1000 };

// Gradients of mean 1; or, with a rare one, quiet ones and in their midst one of the usual size.
const biasGradients = ({ noise, gradients, seed, steps }) => {
  const draw = normal(seed);
  return upTo(steps).map((i) => (1 + noise * draw()) * (gradients === "rare" && i + 1 !== QUIET.at ? QUIET.share : 1));
};

// What m, v and the step are after each step; m̂ and v̂ are what the corrected rule divides.
const biasRun = (label, state, gradients) => {
  const n = settings(label, {}, { beta1: state.beta1, beta2: state.beta2 });
  const given = (w, g, step) => { g[0] = gradients[step] ?? 0; return 0; };
  const { seen } = train(label, n, given, [0], state.steps, ({ m, v, d }) => [m[0], v[0], Math.abs(d[0]) / n.lr]);
  const [m, v, size] = upTo(3).map((index) => column(seen.slice(1), index));
  return { label, m, v, size };
};

figure("bias", {
  draw(state) {
    const { beta1, beta2, noise } = state;
    const rare = state.gradients === "rare";
    const gradients = biasGradients(state);
    const [adam, plain] = ["adam", "adam-uncorrected"].map((label) => biasRun(label, state, gradients));
    const steps = upTo(state.steps).map((i) => i + 1);
    const hats = steps.map((t, i) => FUNCTIONS["bias.corrected"](adam.m[i], adam.v[i], t, beta1, beta2));
    const [mHat, vHat] = [0, 1].map((index) => column(hats, index));
    const scale = rare ? QUIET.share : 1;
    const means = [scale, scale ** 2 * (1 + noise ** 2)];
    const blue = { ...lookOf("adam"), dash: null };
    const grey = { colour: "--c0", dash: "8 4" };
    const most = (values) => Math.max(...values);
    const lone = (1 - beta1) / Math.sqrt(1 - beta2);
    const broken = rare && state.steps >= QUIET.at;
    const note = state.steps === 0 ? wordsOf("begin") : filled(wordsOf(broken ? "broken" : "kept"), {
      adam: numberText(most(adam.size), 3), plain: numberText(most(plain.size), 3), at: QUIET.at,
      factor: numberText(1 / QUIET.share), most: numberText(lone, 3),
    });
    const x = { from: 0, to: Math.max(2, state.steps), whole: true };
    const averages = (title, raw, hat, mean, shown, log) => ({
      title, x, xlabel: wordsOf("step"), ylabel: "", alt: note,
      y: around([...raw, ...hat, mean], log ? { log } : { least: 0 }),
      legend: [[shown[1], blue.colour], [shown[0], grey.colour, grey.dash], [wordsOf("true"), "--quiet", "4 4"]],
      marks: [
        { kind: "across", y: mean },
        { kind: "line", x: steps, y: raw, ...grey },
        { kind: "line", x: steps, y: hat, ...blue },
      ],
    });
    return {
      panels: [
        averages(wordsOf("m"), adam.m, mHat, means[0], ["m", "m̂ = m / (1 − β₁ᵗ)"], false),
        averages(wordsOf("v"), adam.v, vHat, means[1], ["v", "v̂ = v / (1 − β₂ᵗ)"], rare),
        {
          title: wordsOf("size"), wide: true, ratio: 0.36, least: 210, alt: note,
          x, y: { from: 0, to: Math.max(1.5, most([rare ? lone : 1, ...adam.size, ...plain.size]) * 1.12) },
          xlabel: wordsOf("step"), ylabel: "|Δ| / η",
          legend: [[wordsOf("corrected"), blue.colour], [wordsOf("plain"), grey.colour, grey.dash]],
          marks: [
            { kind: "across", y: 1 },
            { kind: "text", x: x.to / 2, y: 1, text: "|Δ| = η", anchor: "middle", size: 12, dy: 15, colour: "--quiet" },
            ...(rare && lone > 1 ? [{ kind: "across", y: lone }, { kind: "text", x: 0.3 * x.to, y: lone, dy: -5,
              size: 12, text: "η (1 − β₁) / √(1 − β₂)", colour: "--quiet" }] : []),
            { kind: "line", x: steps, y: plain.size, ...grey },
            { kind: "line", x: steps, y: adam.size, ...blue },
          ],
        },
      ],
      note,
      table: {
        heads: [stepText(state), "m", "v", wordsOf("now"), wordsOf("largest")],
        rows: state.steps === 0 ? [] : [
          [wordsOf("corrected"), blue, mHat.at(-1), vHat.at(-1), adam.size.at(-1), most(adam.size)],
          [wordsOf("plain"), grey, plain.m.at(-1), plain.v.at(-1), plain.size.at(-1), most(plain.size)],
        ],
      },
    };
  },
  python(state) {
    const { beta1, beta2, noise, gradients, seed, steps } = state;
    const rare = gradients === "rare";
    const n = settings("adam", {}, { beta1, beta2 });
    const size = rare ? ` * (1 if i + 1 == ${QUIET.at} else ${QUIET.share})` : "";
    return [
      "import torch", "", "import thalweg", "from thalweg.explore.chance import normal", "", "",
      "def train(optimizer_of):",
      "    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)",
      "    optimizer = optimizer_of(w)",
      `    noise = normal(${seed})`,
      "    sizes = []",
      `    for ${rare ? "i" : "_"} in range(${steps}):`,
      "        before = w.item()",
      `        w.grad = torch.full_like(w, (1 + ${pythonNumber(noise)} * next(noise))${size})`,
      "        optimizer.step()",
      "        sizes.append(abs(before - w.item()) / optimizer.param_groups[0][\"lr\"])",
      "    state = optimizer.state[w]",
      "    return [state[\"exp_avg\"].item(), state[\"exp_avg_sq\"].item(), sizes[-1], max(sizes)]", "", "",
      ...["adam", "adam-uncorrected"].map((label) =>
        `print("${label}", train(lambda w: ${pythonOptimizer(label, n)}))`),
      "",
    ].join("\n");
  },
});

// AdaGrad and gradient descent on x² + 3y², from two starts.

const ADAGRAD_STARTS = ["first", "second"];

// The share of a coordinate that is left at each step; a coordinate that began at 0 has none.
const shareLeft = (weights, index) =>
  column(weights, index).map((each) => (weights[0][index] === 0 ? NaN : each / weights[0][index]));

figure("adagrad", {
  draw(state) {
    const steps = upTo(state.steps + 1);
    const runs = ["adagrad", "sgd"].flatMap((label) => ADAGRAD_STARTS.map((start) => {
      const run = train(label, settings(label, state), lossOf("ellipse"), state[start], state.steps);
      return { label, start, ...run, shares: [0, 1].map((index) => shareLeft(run.weights, index)) };
    }));
    const of = (label) => runs.filter((run) => run.label === label);
    const [adagrad, sgd] = [of("adagrad")[0], of("sgd")[0]];
    const left = ({ shares }, index) => percentText(shares[index][state.steps], 1);
    const drawn = [...adagrad.shares, ...sgd.shares].flat().filter((each) => Math.abs(each) < 3);
    const shareAxis = { from: Math.min(-0.05, ...drawn) - 0.05, to: Math.max(1, ...drawn) + 0.05, name: (share) => percentText(share) };
    const note = filled(wordsOf("note"), { steps: state.steps,
      ax: left(adagrad, 0), ay: left(adagrad, 1), sx: left(sgd, 0), sy: left(sgd, 1) });
    const paths = (label) => surfacePanel("ellipse", {
      title: `${titleOf(label)} · x² + 3y²`, ratio: 0.75, alt: note,
      marks: of(label).flatMap(({ start, weights }) => pathMarks(label, weights, { hollow: start === "second", r: 3 })),
      handles: ADAGRAD_STARTS.map((start, index) => startHandle(start, state[start], index ? "--quiet" : "--accent")),
    });
    const share = ({ label, shares: [x, y] }) => ({
      title: `${titleOf(label)}${said({ en: ": ", fr: "\u202f: " })}${wordsOf("share")}`, alt: note,
      x: { from: 0, to: Math.max(1, state.steps), whole: true }, y: shareAxis, xlabel: wordsOf("step"), ylabel: "",
      legend: [["x", lookOf(label).colour, null, 4, 0.45], ["y", lookOf(label).colour, "2 5"]],
      marks: [
        { kind: "across", y: 0 },
        lineOf(label, steps, x, { width: 4, opacity: 0.45, dash: null }),
        lineOf(label, steps, y, { dash: "2 5" }),
      ],
    });
    return {
      panels: [paths("adagrad"), paths("sgd"), share(adagrad), share(sgd)],
      note,
      table: {
        heads: [stepText(state), "x", "y", `${wordsOf("left")} x`, `${wordsOf("left")} y`, wordsOf("loss")],
        rows: runs.map((run) => [`${titleOf(run.label)}, ${wordsOf(run.start)}`, lookOf(run.label).colour,
          ...run.weights[state.steps], left(run, 0), left(run, 1), run.losses[state.steps]]),
      },
    };
  },
  python: (state) => pythonDescent("ellipse", state.first, state.steps,
    ["adagrad", "sgd"].flatMap((label) => ADAGRAD_STARTS.map((start) =>
      [`${label} ${start}`, pythonOptimizer(label, settings(label, state)), start === "first" ? null : state[start]]))),
});

// Training on the page: the rules' own formulas, on the surfaces' own formulas.

// The settings of one rule: its defaults, what the controls named "<label>.<hyperparameter>" say, what else is given.
const settings = (label, state, given = {}) => {
  const own = {};
  for (const [name, value] of Object.entries(state)) {
    if (name.startsWith(`${label}.`)) own[name.slice(label.length + 1)] = Number(value);
  }
  return { ...RULES[label].defaults, ...own, ...given };
};

// The JavaScript of a rule under these settings: a hyperparameter's being 0 may change the formula.
const formOf = (label, n) => {
  const { tested, made } = RULES[label];
  return made[tested.map((name) => (n[name] === 0 ? "0" : "1")).join("")];
};

// A loss of the weights and its gradient, from a surface; the noise is the same for every rule with one seed.
const lossOf = (name, seed = 0) => {
  const { call, noise } = SURFACES[name];
  const draw = noise ? normal(seed) : null;
  return (w, g) => {
    const found = call(w[0], w[1]);
    for (let i = 0; i < w.length; i += 1) g[i] = draw ? found[i + 1] + noise * draw() : found[i + 1];
    return found[0];
  };
};

// A plain copy; several times as fast as Array.from.
const copyOf = (w) => {
  const found = [];
  for (let i = 0; i < w.length; i += 1) found.push(w[i]);
  return found;
};

// A run of a rule from `start`: at each of steps + 1 moments what `see(state, loss, gradient)` returns, [] unless given.
// `loss(w, g, step)` returns the loss and fills in the gradient.
const train = (label, n, loss, start, steps, see) => {
  const form = formOf(label, n);
  const state = form.begin(n, start);
  const g = new Float64Array(start.length);
  const weights = [copyOf(state.w)];
  const losses = [];
  const seen = [];
  for (let step = 0; ; step += 1) {
    losses.push(loss(state.w, g, step));
    if (see) seen.push(see(state, losses[step], g));
    if (step >= steps) break;
    form.step(n, state, g);
    weights.push(copyOf(state.w));
  }
  return { weights, losses, seen, state };
};

// One coordinate of every moment.
const column = (weights, index) => weights.map((w) => w[index]);

const spaced = (low, high, count) => upTo(count).map((i) => low + ((high - low) * i) / (count - 1));

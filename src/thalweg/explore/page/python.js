// The pieces of the Python that reproduces a figure with the library's own optimizers.

const pythonNumber = (value) => numberPlain(value);

// A rule's class and its settings as an optimizer's arguments: Adam([w], lr=0.1, betas=(0.9, 0.999)).
const pythonOptimizer = (label, n, extra = {}, weights = "[w]") => {
  const { python, hypers } = RULES[label];
  const words = [];
  const together = new Map();
  for (const [name, { default: usual, of }] of Object.entries(hypers)) {
    if (of) together.set(of, [...(together.get(of) ?? []), [name, usual]]);
    else if (n[name] !== usual || name === "lr") words.push(`${name}=${pythonNumber(n[name])}`);
  }
  for (const [of, members] of together) {
    if (members.some(([name, usual]) => n[name] !== usual)) {
      words.push(`${of}=(${members.map(([name]) => pythonNumber(n[name])).join(", ")})`);
    }
  }
  for (const [name, value] of Object.entries({ ...RULES[label].switches, ...extra })) words.push(`${name}=${value}`);
  return `${python}(${[weights, ...words].join(", ")})`;
};

const pythonList = (numbers) => `[${numbers.map(pythonNumber).join(", ")}]`;
const pythonTuple = (numbers) => `(${numbers.map(pythonNumber).join(", ")}${numbers.length === 1 ? "," : ""})`;

// A program that trains some rules from one start on a surface, and prints where each ends.
// `runs`: [name, optimizer, start?, key?] each, where key is that of a state to print behind the weights, for all runs
// or none; `averaged`: names of those whose last weights are the average to test.
const pythonDescent = (surface, start, steps, runs, seed = null, averaged = []) => {
  const { text: source, weights, noise } = SURFACES[surface];
  const noisy = noise > 0 && seed !== null;
  const imports = ["import torch", "", "import thalweg"];
  if (noisy) imports.push("from thalweg.explore.chance import normal");
  const keyed = runs.some(([, , , key]) => key);
  const owns = RULES_IMPORTS(runs.map(([, optimizer]) => optimizer));
  return [
    ...imports, ...owns, "", "", source.trimEnd(), "", "",
    `def train(${[
      "optimizer_of", ...(keyed ? ["key"] : []), `start=${pythonTuple(start)}`, `steps=${steps}`,
      ...(averaged.length ? ["averaged=False"] : []),
    ].join(", ")}):`,
    "    w = torch.tensor(start, dtype=torch.float64, requires_grad=True)",
    "    optimizer = optimizer_of(w)",
    ...(noisy ? [`    noise = normal(${seed})`] : []),
    "    path = [w.tolist()]",
    "    for _ in range(steps):",
    "        optimizer.zero_grad()",
    `        ${surfaceFunction(source)}(*w).backward()`,
    ...(noisy ? [`        draws = [${noise} * next(noise) for _ in ${pythonRange(weights.length)}]`,
      "        w.grad += torch.tensor(draws, dtype=w.dtype)"] : []),
    "        optimizer.step()",
    "        path.append(w.tolist())",
    ...(averaged.length
      ? ["    if averaged:", "        with optimizer.averaged():", "            path.append(w.tolist())"] : []),
    ...(keyed ? ["    path[-1] += optimizer.state[w][key].tolist()"] : []),
    "    return path", "", "",
    ...runs.map(([name, optimizer, from, key]) => {
      const given = [`lambda w: ${optimizer}`, ...(key ? [`"${key}"`] : []),
        ...(from ? [`start=${pythonTuple(from)}`] : []), ...(averaged.includes(name) ? ["averaged=True"] : [])];
      return `print("${name}", train(${given.join(", ")})[-1])`;
    }),
    "",
  ].join("\n");
};

const pythonRange = (count) => `range(${count})`;

const surfaceFunction = (source) => source.match(/def (\w+)\(/)[1];

// Rules that are not in the catalogue come from the module that has them.
const RULES_IMPORTS = (optimizers) =>
  [...new Set(optimizers.flatMap((text) => Object.values(RULES)
    .filter(({ python, from }) => from && text.startsWith(`${python}(`)).map(({ from }) => from)))];

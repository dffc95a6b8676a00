// Level lines of a function of two numbers, by marching squares.

const CONTOUR_CELLS = 90;

// Levels that come closer together towards the lowest value, since that is where a run ends.
const levelsOf = (values, count) => {
  const sorted = Float64Array.from(values).sort();
  const low = sorted[0];
  const high = sorted[Math.floor(sorted.length * 0.98)];
  return upTo(count).map((i) => low + (high - low) * ((i + 1) / count) ** 2.6);
};

// Lines as [x0, y0, x1, y1] segments for each level, in the function's own numbers.
const contours = (call, [x0, x1], [y0, y1], count = 14) => {
  const cells = CONTOUR_CELLS;
  const xs = spaced(x0, x1, cells + 1);
  const ys = spaced(y0, y1, cells + 1);
  const values = new Float64Array((cells + 1) ** 2);
  ys.forEach((y, row) => xs.forEach((x, col) => { values[row * (cells + 1) + col] = call(x, y); }));
  return levelsOf(values, count).map((level) => ({ level, lines: segments(values, cells, xs, ys, level) }));
};

const segments = (values, cells, xs, ys, level) => {
  const found = [];
  const at = (row, col) => values[row * (cells + 1) + col] - level;
  const between = (a, b, from, to) => from + ((to - from) * a) / (a - b);
  for (let row = 0; row < cells; row += 1) {
    for (let col = 0; col < cells; col += 1) {
      const [a, b, c, d] = [at(row, col), at(row, col + 1), at(row + 1, col + 1), at(row + 1, col)];
      const points = [];
      if (a < 0 !== b < 0) points.push(between(a, b, xs[col], xs[col + 1]), ys[row]);
      if (b < 0 !== c < 0) points.push(xs[col + 1], between(b, c, ys[row], ys[row + 1]));
      if (c < 0 !== d < 0) points.push(between(d, c, xs[col], xs[col + 1]), ys[row + 1]);
      if (d < 0 !== a < 0) points.push(xs[col], between(a, d, ys[row], ys[row + 1]));
      for (let i = 0; i + 3 < points.length; i += 4) found.push(points.slice(i, i + 4));
    }
  }
  return found;
};

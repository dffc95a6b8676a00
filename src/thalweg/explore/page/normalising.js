// Normalising a table of examples by features, as thalweg.explore.normalising does.

const meanOf = (line) => {
  let sum = 0;
  for (let i = 0; i < line.length; i += 1) sum += line[i];
  return sum / line.length;
};

// Mean and spread of what is normalised together; RMSNorm leaves the mean in.
const statistics = (line, norm) => {
  const mean = norm === "rms" ? 0 : meanOf(line);
  return { mean, spread: meanOf(line.map((x) => FUNCTIONS["norm.squared"](x, mean)[0])) };
};

const deviationOf = (values) => statistics(values, "batch").spread ** 0.5;

const normalisedLine = (line, norm, eps) => {
  const { mean, spread } = statistics(line, norm);
  return { mean, spread, z: line.map((x) => FUNCTIONS["norm.normalised"](x, mean, spread, eps)[0]) };
};

const turned = (rows) => rows[0].map((_, index) => rows.map((row) => row[index]));

// All lines of a table of rows: the lines, and z as rows again.
const normalisedTable = (rows, norm, eps) => {
  const byColumn = norm === "batch";
  const lines = (byColumn ? turned(rows) : rows).map((line) => normalisedLine(line, norm, eps));
  const z = lines.map((line) => line.z);
  return { lines, z: byColumn ? turned(z) : z };
};

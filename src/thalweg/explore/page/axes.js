// From numbers to places in a panel, and the ticks beside it.

const FAR = 20000;

// 0, 1, ... as many as are asked for.
const upTo = (count) => Array.from({ length: count }, (_, index) => index);

const scaleOf = ({ from, to, log }, start, end) => {
  // On a logarithmic axis what is not positive lies below everything.
  const turn = log ? (value) => Math.log10(Math.max(0, value)) : (value) => value;
  const [low, high] = [turn(from), turn(to)];
  const place = (value) => {
    const found = start + ((turn(value) - low) / (high - low)) * (end - start);
    // SVG has no infinity, and float32 inside.
    return Math.max(-FAR, Math.min(FAR, found));
  };
  const value = (pixel) => {
    const found = low + ((pixel - start) / (end - start)) * (high - low);
    return log ? 10 ** found : found;
  };
  return { place, value };
};

const ticksOf = ({ from, to, log, ticks, whole }, room) => {
  if (ticks) return ticks;
  if (log) {
    const [low, high] = [Math.ceil(Math.log10(from) - 1e-9), Math.floor(Math.log10(to) + 1e-9)];
    const every = Math.max(1, Math.ceil((high - low + 1) / Math.max(2, room)));
    return upTo(Math.max(0, high - low + 1)).map((i) => low + i).filter((p) => (p - low) % every === 0)
      .map((power) => 10 ** power);
  }
  const rough = Math.abs(to - from) / Math.max(1, room);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((each) => each >= rough);
  const used = whole ? Math.max(1, Math.round(step)) : step;
  const [first, last] = [Math.ceil(Math.min(from, to) / used - 1e-9), Math.floor(Math.max(from, to) / used + 1e-9)];
  return upTo(Math.max(0, last - first + 1)).map((i) => Number(((first + i) * used).toPrecision(12)));
};

// An axis that holds some numbers, with a little room; those that are not finite are left out.
const around = (numbers, { least = null, most = null, log = false, room = 0.06 } = {}) => {
  const kept = numbers.filter((value) => Number.isFinite(value) && (!log || value > 0));
  let [low, high] = kept.length ? [Math.min(...kept), Math.max(...kept)] : log ? [0.1, 1] : [0, 1];
  if (log) {
    low = Math.max(least ?? low, high / 1e12);
    return { from: low / 1.3, to: Math.max(high, low * 10) * 1.3, log };
  }
  if (least !== null) low = Math.min(low, least);
  if (most !== null) high = Math.max(high, most);
  const extra = (high - low || Math.abs(high) || 1) * room;
  return { from: low - extra, to: high + extra };
};

// Places for words that should stand at `values`, at least `gap` from each other.
const apart = (values, gap) => {
  const order = upTo(values.length).sort((a, b) => values[a] - values[b]);
  const found = [...values];
  order.forEach((index, i) => { if (i) found[index] = Math.max(found[index], found[order[i - 1]] + gap); });
  const shift = order.reduce((sum, index) => sum + found[index] - values[index], 0) / values.length;
  return found.map((value) => value - shift);
};

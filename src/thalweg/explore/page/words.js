// Languages and numbers as text.

let chosenLanguage = "en";
const language = () => chosenLanguage;

// Letters of mathematics that are written as others, all at once; none, unless somebody asks for the lecture's.
let swapped = (text) => text;

// ``letters``: each with what is written instead. A Latin one counts only where it is no part of a word.
const setLetters = (letters) => {
  const alone = (letter) => (/[a-z]/i.test(letter) ? `(?<![a-zà-ÿ'’])${letter}(?![a-zà-ÿ'’])` : letter);
  const found = Object.keys(letters);
  const pattern = new RegExp(found.map(alone).join("|"), "gi");
  swapped = found.length ? (text) => text.replace(pattern, (letter) => letters[letter] ?? letter) : (text) => text;
};

// A text in the reader's language. French has a thin space before these signs, where no line breaks.
const spoken = (words) =>
  (!words ? "" : language() === "fr" ? words.fr.replace(/ ([:;?!])/g, "\u202f$1") : words.en);

// A text of the page or of the figure that is shown, in the letters that are chosen.
const said = (words) => swapped(spoken(words));

const numberText = (value, digits = 4) => {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) {
    const [head, power] = value.toExponential(Math.min(digits, 3) - 1).split("e");
    return `${decimal(Number(head))}·10${raised(Number(power))}`;
  }
  return decimal(Number(value.toPrecision(digits)));
};

const decimal = (value) => {
  const written = String(value).replace("-", "−");
  return language() === "fr" ? written.replace(".", ",") : written;
};

const raised = (power) => String(power).replace(/[-0-9]/g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)]));

const powerText = (value) => {
  const power = Math.round(Math.log10(value));
  return power >= -2 && power <= 3 ? decimal(Number(value.toPrecision(4))) : `10${raised(power)}`;
};

// As programs write it: in addresses, attributes and Python. Three digits are what a slider can hold.
const numberPlain = (value) => String(Number(Number(value).toPrecision(6)));

// A sentence with its numbers in place: "after {steps} steps".
const filled = (words, values) =>
  words.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? numberText(values[name]) : values[name]));

// A share, as a percentage; of what has none, a dash.
const percentText = (share, digits = 0) =>
  (Number.isFinite(share) ? `${fixedText(100 * share, digits)}${language() === "fr" ? "\u202f" : ""}%` : "–");

// So many digits after the point, so that columns of numbers align.
const fixedText = (value, digits = 2) => {
  const written = (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toFixed(digits).replace("-", "−");
  return language() === "fr" ? written.replace(".", ",") : written;
};

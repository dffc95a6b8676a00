// What stands around a picture, as HTML: numbers, formulas, the question, the way to the next figure.

// The table is the legend: a dot of a colour, or a piece of a line.
const swatchOf = (look) => {
  if (!look) return "";
  if (typeof look === "string") return `<i class="swatch" style="background:${ink(look)}"></i>`;
  return `<svg class="swatch-line" width="24" height="8" aria-hidden="true"><path d="M0 4H24"` +
    ` stroke="${ink(look.colour)}" stroke-width="2.5" stroke-dasharray="${look.dash ?? "none"}"/></svg>`;
};

// Numbers as a table: heads, and rows of [name, colour or null or a line's {colour, dash}, ...cells].
const tableOf = ({ heads, rows }) =>
  `<table><thead><tr>${heads.map((head) => `<th scope="col">${escaped(head)}</th>`).join("")}</tr></thead><tbody>` +
  rows.map(([name, colour, ...cells]) =>
    `<tr><th scope="row">${swatchOf(colour)}${escaped(name)}</th>` +
    `${cells.map((cell) => `<td>${escaped(typeof cell === "number" ? numberText(cell) : cell)}</td>`).join("")}</tr>`)
    .join("") + "</tbody></table>";

// A typeset rule says some words, in brackets of its own, which are said in the page's language.
const formulaOf = (mathml) => mathml.replace(/⟦(.*?)⟧/g, (_, word) => escaped(said(FORMULA_WORDS[word])));

const formulasOf = ({ formulas }, letters) =>
  formulas.map(({ title, mathml, lecture }) => {
    const name = escaped(said(title));
    return `<section aria-label="${name}"><h3>${name}</h3>${formulaOf((letters && lecture) || mathml)}</section>`;
  }).join("");

// A claim is the lecture's own, letters too.
const claimsOf = ({ claims }) => claims.map(({ name, statement, verdict }) =>
  `<li><a href="${CLAIMS}#${name}?lang=${language()}">${escaped(spoken(statement))}</a> ${escaped(spoken(verdict))}</li>`)
  .join("");

// The steps are sentences and formulas, each of which scrolls where it is too wide.
const derivationOf = ({ derivation }) =>
  (derivation?.steps ?? []).map(spoken).join("").replaceAll("<math", "<div><math").replaceAll("</math>", "</math></div>");

const menuOf = (shown) => {
  const entry = (name, words) =>
    `<a href="#${name}"${name === (shown?.name ?? "") ? ' aria-current="page"' : ""}>${escaped(words)}</a>`;
  const start = FIGURES.length > 1 ? `<li>${entry("", said(WORDS.overview))}</li>` : "";
  return start + SECTIONS.map(({ title, names }) => `<li><span>${escaped(said(title))}</span><ul>${
    names.map((name) => `<li>${entry(name, said(figureOf(name).title))}</li>`).join("")}</ul></li>`).join("");
};

const chooserOf = (shown) => [{ name: "", title: WORDS.overview }, ...FIGURES].slice(FIGURES.length > 1 ? 0 : 1)
  .map(({ name, title }) =>
    `<option value="${name}"${name === (shown?.name ?? "") ? " selected" : ""}>${escaped(said(title))}</option>`)
  .join("");

// The figure before, and the next with the sentence that leads to it.
const threadOf = (shown) => {
  const index = FIGURES.indexOf(shown);
  const link = (figure, way) => (figure ? `<a class="${way}" href="#${figure.name}"><small>${
    escaped(said(WORDS[way === "to-next" ? "after" : "before"]))}</small><strong>${escaped(said(figure.title))}</strong>${
    way === "to-next" && figure.thread ? `<span>${escaped(said(figure.thread))}</span>` : ""}</a>` : "");
  return link(FIGURES[index - 1], "to-before") + link(FIGURES[index + 1], "to-next");
};

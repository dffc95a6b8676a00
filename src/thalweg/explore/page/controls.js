// Sliders, choices and switches beside a figure.

const NOTCHES = 400;

const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
};

// The slider's own position, from 0 to NOTCHES, for a value; and back, with three digits.
const notchOf = (control, value) => {
  const turn = control.log ? Math.log : (each) => each;
  return ((turn(value) - turn(control.low)) / (turn(control.high) - turn(control.low))) * NOTCHES;
};

const valueAt = (control, notch) => {
  const share = notch / NOTCHES;
  const found = control.log
    ? control.low * (control.high / control.low) ** share : control.low + (control.high - control.low) * share;
  if (control.whole) return Math.round(found);
  if (share === 0) return control.low;
  if (share === 1) return control.high;
  if (control.log) return Number(found.toPrecision(2));
  const digits = Math.max(0, 2 - Math.floor(Math.log10(control.high - control.low)));
  return Number(found.toFixed(digits));
};

const slider = (control, change) => {
  const id = `control-${control.name}`;
  const whole = control.whole ?? false;
  const range = element("input", {
    type: "range", id, min: whole ? control.low : 0, max: whole ? control.high : NOTCHES, step: 1,
    oninput: () => change({ [control.name]: whole ? Number(range.value) : valueAt(control, Number(range.value)) }),
  });
  const field = element("input", {
    type: "number", class: "exact", step: "any", min: control.low, max: control.high,
    onchange: () => change({ [control.name]: field.value }),
  });
  const label = element("label", { for: id });
  const made = element("div", { class: "control slider" }, label, field, range);
  const show = (value) => {
    label.textContent = said(control.label);
    field.setAttribute("aria-label", said(control.label));
    range.value = whole ? value : notchOf(control, value);
    range.setAttribute("aria-valuetext", numberText(value));
    if (document.activeElement !== field) field.value = numberPlain(value);
  };
  return { element: made, show };
};

const toggle = (control, change) => {
  const box = element("input", { type: "checkbox", onchange: () => change({ [control.name]: box.checked }) });
  const words = element("span");
  const made = element("label", { class: "control toggle" }, box, words);
  return { element: made, show: (value) => { box.checked = value; words.textContent = said(control.label); } };
};

const choice = (control, change) => {
  const id = `control-${control.name}`;
  const label = element("label", { for: id });
  const select = element("select", { id, onchange: () => change({ [control.name]: select.value }) });
  const options = Object.keys(control.options).map((value) => element("option", { value }));
  select.append(...options);
  const show = (value) => {
    label.textContent = said(control.label);
    options.forEach((option) => { option.textContent = said(control.options[option.value]); });
    select.value = value;
  };
  return { element: element("div", { class: "control choice" }, label, select), show };
};

const several = (control, change) => {
  const legend = element("legend");
  const boxes = Object.keys(control.options).map((value) => {
    const box = element("input", { type: "checkbox", value, onchange: () => {
      change({ [control.name]: boxes.filter((each) => each.box.checked).map((each) => each.box.value) });
    } });
    return { box, words: element("span") };
  });
  const made = element("fieldset", { class: "control several" }, legend,
    ...boxes.map(({ box, words }) => element("label", {}, box, words)));
  const show = (value) => {
    legend.textContent = said(control.label);
    boxes.forEach(({ box, words }) => {
      box.checked = value.includes(box.value);
      words.textContent = said(control.options[box.value]);
    });
  };
  return { element: made, show };
};

const MAKERS = { slider, toggle, choice, several };

// The controls of a figure; `show(state)` brings them up to date. What is dragged in the figure has none.
const controlsOf = (figure, change) => {
  const made = figure.controls.filter((control) => control.kind in MAKERS)
    .map((control) => ({ control, ...MAKERS[control.kind](control, change) }));
  return {
    elements: made.map((each) => each.element),
    show: (state, hidden = []) => made.forEach(({ control, element: own, show }) => {
      own.hidden = hidden.includes(control.name);
      show(state[control.name]);
    }),
  };
};

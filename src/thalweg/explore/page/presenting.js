// Panels and controls alone, with large labels: inside another page (?embed=1), or on the whole screen (F).

const EMBEDDED = new URLSearchParams(location.search).get("embed") === "1";
// How much larger than usual what is written in a panel is.
const LARGE = 1.4;
const NARROW = matchMedia("(max-width: 46rem)");

const presenting = () => document.documentElement.dataset.mode === "present";

// How panels are drawn: their labels' size, and how high they may be, so that the first slider stands in the same view.
const lookOfPanels = () => {
  const height = document.documentElement.clientHeight;
  if (NARROW.matches) return { zoom: 1, most: 0.46 * height };
  if (EMBEDDED) return { zoom: LARGE, most: height - 64 };
  return presenting() ? { zoom: LARGE, most: 0.62 * height } : { zoom: 1, most: Infinity };
};

const setMode = (mode) => {
  document.documentElement.dataset.mode = mode;
  document.documentElement.classList.toggle("bare", mode !== "");
  redraw();
};

// Where a browser lets no page fill the screen, it still fills its window.
const present = () => {
  if (presenting()) {
    leavePresenting();
    return;
  }
  setMode("present");
  document.documentElement.requestFullscreen?.().catch(() => {});
};

const leavePresenting = () => {
  if (!presenting()) return;
  setMode(EMBEDDED ? "embed" : "");
  if (document.fullscreenElement) document.exitFullscreen();
};

// What another page has to hold to show this very picture.
const frameOf = () => element("iframe", {
  src: `${location.href.replace(/[?#].*/, "")}?embed=1${location.hash}`, title: document.title, width: 820, height: 560,
  style: "border: 0; max-width: 100%", loading: "lazy", allow: "fullscreen",
}).outerHTML;

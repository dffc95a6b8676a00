// Playing: from the first step to as many as are chosen, with pauses.

// ``at`` is where it was paused, on the way ``to`` the chosen steps; if somebody has chosen others since, these count.
const playing = { frame: 0, at: null, to: null };
const PLAY_S = 7;

const stepsOf = (figure) => figure?.controls.find((control) => control.name === "steps");

const stop = () => {
  cancelAnimationFrame(playing.frame);
  playing.frame = 0;
  tell("play");
};

// What the button does next.
const tell = (word) => {
  place("play").dataset.words = word;
  place("play").textContent = said(WORDS[word]);
};

const underWay = () => playing.frame !== 0 || (playing.at !== null && playing.at === current.state.steps);

const play = () => {
  if (playing.frame) { playing.at = current.state.steps; stop(); return; }
  const from = underWay() ? playing.at : 0;
  const to = underWay() ? playing.to : current.state.steps || stepsOf(current.figure).high;
  const begun = performance.now();
  Object.assign(playing, { at: null, to });
  tell("pause");
  const turn = (now) => {
    const steps = Math.min(to, from + Math.floor(((now - begun) / 1000) * (to / PLAY_S)));
    if (steps !== current.state.steps) change({ steps });
    if (steps >= to) stop(); else playing.frame = requestAnimationFrame(turn);
  };
  playing.frame = requestAnimationFrame(turn);
};

// Back to the first step, and no setting changes: what is played next goes as far as before.
const rewind = () => {
  const to = underWay() ? playing.to : current.state.steps;
  stop();
  if (to) Object.assign(playing, { at: 0, to });
  change({ steps: 0 });
};

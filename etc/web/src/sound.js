// sound: two tones when an alarm comes, where the user wants that. There is no file: the browser makes them.
const KEY = "alarm.sound";
const EVERY_MS = 2000; // many alarms at once are one sound
const LATE_MS = 2000; // a browser that allowed it later than this says nothing any more
const TONES = [[880, 0], [660, 0.2]], SECONDS = 0.18, LOUD = 0.25;

let context = null, rung = -Infinity;

export const canSound = typeof AudioContext === "function";

// A browser that keeps nothing for pages is asked each time.
let wanted = false;
try { wanted = localStorage.getItem(KEY) === "on"; } catch { /* not kept */ }
export const wantsSound = () => canSound && wanted;

// A browser allows sound only after somebody has clicked or typed in the page.
export const isBlocked = () => wantsSound() && context !== null && context.state !== "running";

function play() {
  for (const [pitch, after] of TONES) {
    const tone = context.createOscillator(), loud = context.createGain(), begin = context.currentTime + after;
    tone.frequency.value = pitch;
    loud.gain.setValueAtTime(LOUD, begin);
    loud.gain.exponentialRampToValueAtTime(0.001, begin + SECONDS);
    tone.connect(loud).connect(context.destination);
    tone.start(begin);
    tone.stop(begin + SECONDS);
  }
}

function begin() {
  if (context) return;
  context = new AudioContext();
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { if (wanted && context.state === "suspended") context.resume(); });
}

export function ring() {
  const now = performance.now();
  if (!wantsSound() || now - rung < EVERY_MS) return;
  rung = now;
  begin();
  context.resume().then(() => { if (performance.now() - now < LATE_MS) play(); }).catch(() => {});
}

// Who switches it on hears what it will be like.
export function wantSound(on) {
  wanted = on;
  rung = -Infinity;
  try { on ? localStorage.setItem(KEY, "on") : localStorage.removeItem(KEY); } catch { /* not kept */ }
  ring();
}

if (wantsSound()) begin();

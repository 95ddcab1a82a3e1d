// A verdict can be heard: each decision has its own melody.
const TUNES = { // [Hz, start s, length s]
  accept: [[660, 0, 0.12], [990, 0.13, 0.2]],
  reject: [[196, 0, 0.22], [165, 0.26, 0.35]],
  retry: [[440, 0, 0.16]],
  refer: [[523, 0, 0.12], [523, 0.2, 0.12], [523, 0.4, 0.12]],
};

let context = null;
export let muted = localStorage.getItem("kanhe-muted") === "1";

export function mute(value) {
  muted = value;
  localStorage.setItem("kanhe-muted", value ? "1" : "0");
}

export function play(decision) {
  const tune = TUNES[decision];
  if (muted || !tune || !window.AudioContext) return;
  context ??= new AudioContext();
  for (const [hertz, start, length] of tune) {
    const tone = context.createOscillator();
    const volume = context.createGain();
    const at = context.currentTime + start;
    tone.frequency.value = hertz;
    volume.gain.setValueAtTime(0.18, at);
    volume.gain.exponentialRampToValueAtTime(0.001, at + length);
    tone.connect(volume).connect(context.destination);
    tone.start(at);
    tone.stop(at + length);
  }
}

// An active challenge: the movements are shown in words and a picture, and a burst answers them.
//
// - The burst begins with a frame of before the words, in which the face looks at the camera.
// - Frames and time are bounded: what isn't taken in the challenge's short life isn't sent.
// - Not here: what the movements are worth; the node judges.
import { json, wait } from "./node.js";
import { pick, t } from "./words.js";

const FRAMES_MIN = 4; // fewer tell the node nothing
const ONE = { frames: 7, everyMs: 500 };
const EACH_OF_TWO = { frames: 3, everyMs: 700 };
const BACK = { action: "", frames: 1, everyMs: 1_000 }; // from one side to the other is too far for one step
const SEND_MS = 1_500; // of the challenge's life, kept for sending
const TICK_MS = 250;

const $ = (id) => document.getElementById(id);

/** Ask the node what the holder is to do. */
export async function askFor(scene) {
  const given = await json("POST", "/v1/challenges", { scene });
  return { ...given, until: performance.now() + given.expires_s * 1_000 };
}

/** The parts of a burst, in their order: what is asked, how many frames, how far apart. */
export function parts(given) {
  const asked = given.actions.map((action, index) => ({ action, words: pick(given.words[index]) }));
  const found = asked.length === 1 ? [{ ...asked[0], ...ONE }]
    : asked.flatMap((item, index) => (index ? [BACK] : []).concat({ ...item, ...EACH_OF_TWO }));
  const takes = found.reduce((sum, part) => sum + part.frames * part.everyMs, 0);
  const pace = Math.min(1, (given.expires_s * 1_000 - SEND_MS) / takes);
  return found.map((part) => ({ ...part, everyMs: part.everyMs * pace }));
}

/** Take the burst; null when it was broken off, or the time was over before it was worth sending. */
export async function burst(source, given, first, goesOn) {
  const images = [first];
  const ticking = setInterval(() => count(given), TICK_MS);
  count(given);
  try {
    for (const part of parts(given)) {
      show(part);
      for (let taken = 0; taken < part.frames; taken += 1) {
        await wait(part.everyMs);
        if (!goesOn()) return null;
        if (performance.now() > given.until - SEND_MS / 2) return images.length < FRAMES_MIN ? null : images;
        const image = await source.frame();
        if (image) images.push(image);
      }
    }
    return images.length < FRAMES_MIN ? null : images;
  } finally {
    clearInterval(ticking);
    $("challenge").hidden = true;
    $("action").textContent = "";
  }
}

function show(part) {
  $("challenge").hidden = false;
  $("challenge").dataset.action = part.action;
  $("action").textContent = part.words ?? t("请重新正对镜头", "Now face the camera again");
}

function count(given) {
  const left = Math.max(0, Math.ceil((given.until - performance.now()) / 1_000));
  $("left").textContent = t(`剩 ${left} 秒`, `${left} s left`);
  $("life").max = given.expires_s;
  $("life").value = left;
}

// One showing is one verification: which of the codes in view are to be verified.
//
// - A code that was answered isn't sent again, however often the camera sees it.
// - The next code of the same phone belongs to the same showing as long as it stays in view; when it was
//   told to try again, the next code is a new try.
// - Somebody else's code is a new showing at once. Compact codes name their phone by the alias of the
//   day; sealed ones name nobody, so they are one showing until the code leaves the view.

export const GONE_MS = 2_500;
const TEXTS_KEPT = 50;
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const SUITE_SEALED = 0x11;

/** Whom a code belongs to, as far as it tells: the alias of a compact code, or "sealed". */
export function owner(text) {
  const bytes = [];
  for (let i = 4; i + 2 < text.length && bytes.length < 21; i += 3) {
    const [a, b, c] = [...text.slice(i, i + 3)].map((d) => DIGITS.indexOf(d));
    const value = a + 45 * b + 2025 * c;
    bytes.push((value >> 8) & 255, value & 255);
  }
  if (bytes[0] === SUITE_SEALED) return "sealed";
  return bytes.slice(5, 21).join(".");
}

export class Showings {
  constructor() {
    this.answered = new Map(); // text → true, in the order of answers
    this.showing = new Map(); // owner → {seen, settled}
  }

  /** The texts of those in view that are to be verified now. */
  fresh(texts, now) {
    for (const [name, item] of this.showing)
      if (now - item.seen > GONE_MS) this.showing.delete(name);
    return texts.filter((text) => {
      const name = owner(text);
      const item = this.showing.get(name);
      if (item) item.seen = now;
      return !this.answered.has(text) && !(item && item.settled);
    });
  }

  /** Take note of an answer. */
  settle(text, decision, now) {
    this.answered.set(text, true);
    if (this.answered.size > TEXTS_KEPT) this.answered.delete(this.answered.keys().next().value);
    this.showing.set(owner(text), { seen: now, settled: decision !== "retry" });
  }
}

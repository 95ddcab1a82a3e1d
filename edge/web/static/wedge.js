// A keyboard-wedge scanner types a code faster than a person can, and ends with Enter.
//
// - Keys are read by their place (event.code), so a Chinese input method, CapsLock or a national layout
//   in between doesn't change what the scanner meant; it types as on an American keyboard.
// - What belongs to a burst reaches no field; a slow typist is left alone.

const GAP_MS_MAX = 80;
const CHARS_MAX = 4300;
const PREFIX = "KH1:";
const PLAIN = {
  Space: " ", Minus: "-", Period: ".", Slash: "/", NumpadDecimal: ".", NumpadDivide: "/",
  NumpadMultiply: "*", NumpadAdd: "+", NumpadSubtract: "-",
};
const SHIFTED = { Digit4: "$", Digit5: "%", Digit8: "*", Equal: "+", Semicolon: ":" };

/** The character that a scanner meant by a key, "" for none, null for a key that isn't text. */
export function meant(event) {
  const code = event.code;
  if (event.shiftKey && code in SHIFTED) return SHIFTED[code];
  if (/^Key[A-Z]$/.test(code)) return code.slice(3);
  if (/^(Digit|Numpad)[0-9]$/.test(code)) return code.at(-1);
  if (code in PLAIN) return PLAIN[code];
  if (/^(Shift|Control|Alt|CapsLock)/.test(code)) return "";
  // Some drivers give no place of the key, only its character.
  if (!code && event.key?.length === 1) return halfWidth(event.key);
  return null;
}

/** What an input method widened, as it was: ＫＨ１： → KH1: */
export function halfWidth(text) {
  return text.replace(/[\uff01-\uff5e]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0))
    .replace(/\u3000/g, " ");
}

export class Wedge {
  constructor(scanned) {
    this.scanned = scanned;
    this.text = "";
    this.last = -Infinity;
  }

  listen(target) {
    target.addEventListener("keydown", (event) => this.key(event), { capture: true });
  }

  key(event) {
    const now = event.timeStamp;
    if (now - this.last > GAP_MS_MAX) this.text = "";
    const isEnd = event.code === "Enter" || event.code === "NumpadEnter" || event.code === "Tab";
    if (isEnd) {
      const text = this.text;
      this.text = "";
      if (text.startsWith(PREFIX)) {
        event.preventDefault();
        event.stopPropagation();
        this.clear(event.target);
        this.scanned(text);
      }
      return;
    }
    const character = meant(event);
    if (character === null || event.ctrlKey || event.altKey || event.metaKey) {
      this.text = "";
      return;
    }
    if (character === "") return;
    this.last = now;
    this.text = (this.text + character).slice(0, CHARS_MAX);
    // From the prefix on it is a scanner: keep the input method and the field out of it.
    if (this.text.startsWith(PREFIX)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  /** Take out of a field what got there before the burst was known. */
  clear(target) {
    if (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement)
      target.value = halfWidth(target.value).replace(/k(h(1:?)?)?$/i, "");
  }
}

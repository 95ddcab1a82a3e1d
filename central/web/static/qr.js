// QR codes (ISO/IEC 18004) of the kind that KH1 shows: alphanumeric mode, error correction M.
//
// - Only what a code of ours needs: one mode, one level, versions 1 to 20.
// - Gives a square matrix of booleans without the quiet zone.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const QUIET = 4;
// Level M by version: check words a block, blocks; total words follow from the size.
const CHECK = [0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
const BLOCKS = [0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];
const ALIGN = [[], [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50],
  [6, 30, 54], [6, 32, 58], [6, 34, 62], [6, 26, 46, 66], [6, 26, 48, 70], [6, 26, 50, 74], [6, 30, 54, 78],
  [6, 30, 56, 82], [6, 30, 58, 86], [6, 34, 62, 90]];

// GF(256) with x^8 + x^4 + x^3 + x^2 + 1.
const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let i = 0, x = 1; i < 255; i++) {
  EXP[i] = EXP[i + 255] = x;
  LOG[x] = i;
  x = (x << 1) ^ (x & 128 ? 0x11d : 0);
}
const times = (a, b) => (a && b ? EXP[LOG[a] + LOG[b]] : 0);

function checkWords(data, count) {
  let generator = [1];
  for (let i = 0; i < count; i++) {
    const next = new Array(generator.length + 1).fill(0);
    generator.forEach((g, j) => {
      next[j] ^= g;
      next[j + 1] ^= times(g, EXP[i]);
    });
    generator = next;
  }
  const rest = [...data, ...new Array(count).fill(0)];
  for (let i = 0; i < data.length; i++) {
    const factor = rest[i];
    if (factor) generator.forEach((g, j) => (rest[i + j] ^= times(g, factor)));
  }
  return rest.slice(data.length);
}

function totalWords(version) {
  const size = version * 4 + 17;
  const aligned = ALIGN[version].length;
  let modules = size * size - 3 * 64 - 2 * (size - 16) - 31;
  if (aligned) modules -= (aligned * aligned - 3) * 25 - (aligned - 2) * 2 * 5;
  if (version >= 7) modules -= 36;
  return modules >> 3;
}

const dataWords = (version) => totalWords(version) - CHECK[version] * BLOCKS[version];

function bitsOf(text, version) {
  const bits = [];
  const put = (value, length) => {
    for (let i = length - 1; i >= 0; i--) bits.push((value >> i) & 1);
  };
  put(2, 4);
  put(text.length, version < 10 ? 9 : 11);
  for (let i = 0; i < text.length; i += 2) {
    const a = DIGITS.indexOf(text[i]);
    if (i + 1 < text.length) put(a * 45 + DIGITS.indexOf(text[i + 1]), 11);
    else put(a, 6);
  }
  return bits;
}

function wordsOf(text) {
  for (let version = 1; version < CHECK.length; version++) {
    const bits = bitsOf(text, version);
    const room = dataWords(version) * 8;
    if (bits.length > room) continue;
    for (let i = 0; i < 4 && bits.length < room; i++) bits.push(0);
    while (bits.length % 8) bits.push(0);
    const words = [];
    for (let i = 0; i < bits.length; i += 8) words.push(parseInt(bits.slice(i, i + 8).join(""), 2));
    for (let pad = 0xec; words.length < room / 8; pad ^= 0xfd) words.push(pad);
    return [version, words];
  }
  throw new RangeError("the text is too long for a code");
}

function interleaved(words, version) {
  const count = BLOCKS[version];
  const short = Math.floor(words.length / count);
  const long = words.length % count;
  const blocks = [];
  for (let i = 0, at = 0; i < count; i++) {
    const length = short + (i >= count - long ? 1 : 0);
    blocks.push(words.slice(at, at + length));
    at += length;
  }
  const checks = blocks.map((block) => checkWords(block, CHECK[version]));
  const out = [];
  for (let i = 0; i <= short; i++) for (const block of blocks) if (i < block.length) out.push(block[i]);
  for (let i = 0; i < CHECK[version]; i++) for (const check of checks) out.push(check[i]);
  return out;
}

/** The function patterns: {dark, fixed} matrices of a version. */
function frame(version) {
  const size = version * 4 + 17;
  const dark = Array.from({ length: size }, () => new Array(size).fill(false));
  const fixed = Array.from({ length: size }, () => new Array(size).fill(false));
  const set = (y, x, value) => {
    if (y < 0 || x < 0 || y >= size || x >= size) return;
    dark[y][x] = value;
    fixed[y][x] = true;
  };
  for (let i = 0; i < size; i++) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  for (const [cy, cx] of [[3, 3], [3, size - 4], [size - 4, 3]])
    for (let y = -4; y <= 4; y++) for (let x = -4; x <= 4; x++) {
      const ring = Math.max(Math.abs(y), Math.abs(x));
      set(cy + y, cx + x, ring !== 2 && ring !== 4);
    }
  const centres = ALIGN[version];
  const last = centres.length - 1;
  centres.forEach((cy, i) => centres.forEach((cx, j) => {
    if ((i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0)) return;
    for (let y = -2; y <= 2; y++) for (let x = -2; x <= 2; x++)
      set(cy + y, cx + x, Math.max(Math.abs(y), Math.abs(x)) !== 1);
  }));
  for (let i = 0; i < 9; i++) {
    set(8, i, false);
    set(i, 8, false);
    if (i < 8) {
      set(8, size - 1 - i, false);
      set(size - 1 - i, 8, false);
    }
  }
  // The timing patterns run through the places reserved for the format.
  set(6, 8, true);
  set(8, 6, true);
  set(size - 8, 8, true);
  if (version >= 7) {
    let rest = version;
    for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
    const bits = (version << 12) | rest;
    for (let i = 0; i < 18; i++) {
      const value = ((bits >> i) & 1) === 1;
      set(Math.floor(i / 3), size - 11 + (i % 3), value);
      set(size - 11 + (i % 3), Math.floor(i / 3), value);
    }
  }
  return { dark, fixed, size };
}

function place({ dark, fixed, size }, words) {
  let bit = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) for (const x of [right, right - 1]) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
      if (fixed[y][x]) continue;
      dark[y][x] = bit < words.length * 8 && ((words[bit >> 3] >> (7 - (bit & 7))) & 1) === 1;
      bit++;
    }
  }
}

const MASKS = [
  (y, x) => (y + x) % 2 === 0, (y) => y % 2 === 0, (_, x) => x % 3 === 0, (y, x) => (y + x) % 3 === 0,
  (y, x) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2 === 0, (y, x) => ((y * x) % 2) + ((y * x) % 3) === 0,
  (y, x) => (((y * x) % 2) + ((y * x) % 3)) % 2 === 0, (y, x) => (((y + x) % 2) + ((y * x) % 3)) % 2 === 0,
];

function masked({ dark, fixed, size }, mask) {
  const out = dark.map((row, y) => row.map((value, x) => (fixed[y][x] ? value : value !== MASKS[mask](y, x))));
  let rest = mask; // level M is 00
  for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  const bits = ((mask << 10) | rest) ^ 0x5412;
  const on = (i) => ((bits >> i) & 1) === 1;
  for (let i = 0; i <= 5; i++) out[i][8] = on(i);
  out[7][8] = on(6);
  out[8][8] = on(7);
  out[8][7] = on(8);
  for (let i = 9; i < 15; i++) out[8][14 - i] = on(i);
  for (let i = 0; i < 8; i++) out[8][size - 1 - i] = on(i);
  for (let i = 8; i < 15; i++) out[size - 15 + i][8] = on(i);
  out[size - 8][8] = true;
  return out;
}

const LIKE_FINDER = ["10111010000", "00001011101"];

function penalty(matrix) {
  const size = matrix.length;
  let sum = 0;
  let darks = 0;
  for (let pass = 0; pass < 2; pass++) for (let i = 0; i < size; i++) {
    const line = Array.from({ length: size }, (_, j) => ((pass ? matrix[j][i] : matrix[i][j]) ? "1" : "0")).join("");
    for (const run of line.match(/0{5,}|1{5,}/g) ?? []) sum += run.length - 2;
    for (const pattern of LIKE_FINDER)
      for (let at = line.indexOf(pattern); at >= 0; at = line.indexOf(pattern, at + 1)) sum += 40;
  }
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
    if (matrix[y][x]) darks++;
    if (y && x && matrix[y][x] === matrix[y - 1][x] && matrix[y][x] === matrix[y][x - 1]
      && matrix[y][x] === matrix[y - 1][x - 1]) sum += 3;
  }
  return sum + 10 * Math.floor(Math.abs((darks * 100) / (size * size) - 50) / 5);
}

/** Make the matrix of a text; mask by the standard's penalties unless one is named. */
export function encode(text, mask = null) {
  if ([...text].some((c) => !DIGITS.includes(c))) throw new RangeError("not an alphanumeric text");
  const [version, words] = wordsOf(text);
  const base = frame(version);
  place(base, interleaved(words, version));
  if (mask !== null) return masked(base, mask);
  const all = MASKS.map((_, index) => masked(base, index));
  const costs = all.map(penalty);
  return all[costs.indexOf(Math.min(...costs))];
}

/** Draw a text crisply: whole device pixels a module, with its quiet zone. */
export function draw(canvas, text) {
  const matrix = encode(text);
  const modules = matrix.length + 2 * QUIET;
  const wide = canvas.clientWidth * (window.devicePixelRatio || 1) || 480;
  const scale = Math.max(4, Math.floor(wide / modules));
  canvas.width = canvas.height = modules * scale;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#000";
  matrix.forEach((row, y) => row.forEach((value, x) => {
    if (value) context.fillRect((x + QUIET) * scale, (y + QUIET) * scale, scale, scale);
  }));
}

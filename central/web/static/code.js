// KH1 codes made in the browser: compact (suite 01) and sealed (suite 11), by WebCrypto.
export const STEP_S = 5;
export const DAY_S = 86400;
export const COMPACT = 0x01;
export const SEALED = 0x11;
const TAG_BYTES = 16;
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const utf8 = (text) => new TextEncoder().encode(text);

export const stepAt = (unixSeconds) => Math.floor(unixSeconds / STEP_S);
export const epochOf = (step) => Math.floor((step * STEP_S) / DAY_S);

export function join(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function number(value, bytes) {
  return Uint8Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** (bytes - 1 - i)) & 255);
}

/** RFC 9285. */
export function base45(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 2) {
    if (i + 1 < bytes.length) {
      const value = bytes[i] * 256 + bytes[i + 1];
      text += DIGITS[value % 45] + DIGITS[Math.floor(value / 45) % 45] + DIGITS[Math.floor(value / 2025)];
    } else text += DIGITS[bytes[i] % 45] + DIGITS[Math.floor(bytes[i] / 45)];
  }
  return text;
}

async function mac(key, data) {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, data));
}

/** The text that a phone shows in one step. keys: {holderKey, alias, sealPublic, credentialId}. A sealed code may carry a card. */
export async function makeCode(keys, suite, step, card = new Uint8Array(0)) {
  const binary = suite === SEALED ? await sealed(keys, step, card) : await compact(keys, step);
  return "KH1:" + base45(binary);
}

async function compact(keys, step) {
  const head = join(number(COMPACT, 1), number(step, 4), keys.alias);
  const tag = await mac(keys.holderKey, join(utf8("kanhe/KH1"), head));
  return join(head, tag.subarray(0, TAG_BYTES));
}

async function sealed(keys, step, card) {
  const head = join(number(SEALED, 1), number(epochOf(step) & 0xffff, 2));
  const tagged = join(utf8("kanhe/KH1"), head.subarray(0, 1), number(step, 4), keys.credentialId, card);
  const tag = (await mac(keys.holderKey, tagged)).subarray(0, TAG_BYTES);
  const inner = join(number(step, 4), keys.credentialId, tag, card);
  return join(head, await hpkeSeal(keys.sealPublic, join(utf8("kanhe/KH1/sealed"), head), inner));
}

// RFC 9180, base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, empty AAD.
const KEM = join(utf8("KEM"), number(0x0020, 2));
const SUITE = join(utf8("HPKE"), number(0x0020, 2), number(0x0001, 2), number(0x0001, 2));

async function hmac(key, data) {
  // WebCrypto takes no empty HMAC key; HKDF's empty salt is as many zeros as the hash is long.
  const raw = key.length ? key : new Uint8Array(32);
  const imported = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return mac(imported, data);
}

const extract = (suite, salt, label, ikm) => hmac(salt, join(utf8("HPKE-v1"), suite, utf8(label), ikm));

async function expand(suite, prk, label, info, length) {
  const data = join(number(length, 2), utf8("HPKE-v1"), suite, utf8(label), info, number(1, 1));
  return (await hmac(prk, data)).subarray(0, length); // one block is enough for up to 32 bytes
}

async function hpkeSeal(publicRaw, info, plain) {
  const publicKey = await crypto.subtle.importKey("raw", publicRaw, { name: "X25519" }, true, []);
  const pair = await crypto.subtle.generateKey({ name: "X25519" }, true, ["deriveBits"]);
  const enc = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const shared = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: publicKey }, pair.privateKey, 256));
  const none = new Uint8Array(0);
  const eaePrk = await extract(KEM, none, "eae_prk", shared);
  const secret = await expand(KEM, eaePrk, "shared_secret", join(enc, publicRaw), 32);
  const context = join(number(0, 1), await extract(SUITE, none, "psk_id_hash", none),
    await extract(SUITE, none, "info_hash", info));
  const prk = await extract(SUITE, secret, "secret", none);
  const key = await expand(SUITE, prk, "key", context, 16);
  const nonce = await expand(SUITE, prk, "base_nonce", context, 12);
  const aes = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  const sealedBytes = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, aes, plain);
  return join(enc, new Uint8Array(sealedBytes));
}

/** Whether this browser can make sealed codes. */
export async function canSeal() {
  try {
    await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]);
    return true;
  } catch {
    return false;
  }
}

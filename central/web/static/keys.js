// The wallet's side of the central platform: pairing, keys for the days ahead, the platform's clock.
//
// - Keys are imported so that scripts can use but never read them, and kept in the browser's own store.
// - The clock is the platform's, carried on by a counter that nobody can set; without the network it is the
//   device's, with the difference that was measured last.
import { forgetAll, keep, load } from "./vault.js";
import { t } from "./words.js";

export const SKEW_S_TOLD = 3;
const CALL_MS_MAX = 10_000;
const CARDS_MS_MAX = 6 * 3_600_000; // after so long they are fetched anew, though none is missing

export class WalletError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(method, path, { token, body } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method, headers, body: body && JSON.stringify(body), cache: "no-store", credentials: "omit",
      signal: AbortSignal.timeout(CALL_MS_MAX),
    });
  } catch {
    throw new WalletError(0, t("连不上中心平台", "The central platform can't be reached"));
  }
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new WalletError(response.status, data.detail ?? `HTTP ${response.status}`);
  return data;
}

const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const fromHex = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));

async function imported(card) {
  const epochs = await Promise.all(card.epochs.map(async (epoch) => ({
    keyEpoch: epoch.key_epoch, suite: epoch.suite, alias: bytes(epoch.alias), sealPublic: bytes(epoch.seal_public),
    credentialId: fromHex(card.credential_id),
    holderKey: await crypto.subtle.importKey("raw", bytes(epoch.holder_key), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]),
  })));
  return { ...card, epochs };
}

export class Clock {
  constructor(skew) {
    this.skew = skew ?? { seconds: 0, measuredAt: null };
    this.anchor = null; // {unix, counter}: measured in this visit
  }

  now() {
    if (this.anchor) return this.anchor.unix + (performance.now() - this.anchor.counter) / 1000;
    return Date.now() / 1000 + this.skew.seconds;
  }

  /** Compare with the platform; the round trip bounds the error. */
  async measure() {
    const before = performance.now();
    const { unix_s: unix } = await call("GET", "/v1/time");
    const after = performance.now();
    this.anchor = { unix: unix + (after - before) / 2000, counter: after };
    this.skew = { seconds: this.now() - Date.now() / 1000, measuredAt: Date.now() };
    await keep("skew", this.skew);
  }

  /** Seconds that the device's clock is behind (positive) or ahead (negative), as far as it matters. */
  get wrong() {
    return Math.abs(this.skew.seconds) > SKEW_S_TOLD ? this.skew.seconds : 0;
  }
}

export class Wallet {
  static async open() {
    const wallet = new Wallet();
    wallet.clock = new Clock(await load("skew"));
    await wallet.reread();
    return wallet;
  }

  /** Take up what this device holds: another tab may have paired or unpaired meanwhile. */
  async reread() {
    this.token = await load("token");
    this.held = await load("held");
    this.cards = await load("cards");
  }

  get paired() {
    return Boolean(this.token);
  }

  async pair(code) {
    const { token } = await call("POST", "/v1/wallets", { body: { code: code.trim().toUpperCase() } });
    this.token = token;
    await keep("token", token);
    await this.renew();
  }

  /** Fetch cards, keys and consents; what is held stays when the network is gone. */
  async renew() {
    const told = await call("GET", "/v1/wallet", { token: this.token });
    this.held = { ...told, credentials: await Promise.all(told.credentials.map(imported)) };
    await keep("held", this.held);
    await this.renewCards();
  }

  /** Fetch cards where one is missing or they are old: the platform signs them when asked, which costs it time. */
  async renewCards() {
    const missing = this.held.credentials.some((item) => item.status === "valid"
      && item.epochs.some((epoch) => !this.card(item, epoch.keyEpoch)));
    if (!missing && Date.now() - (this.cards?.at ?? 0) < CARDS_MS_MAX) return;
    const { cards } = await call("GET", "/v1/wallet/cards", { token: this.token });
    this.cards = { at: Date.now(), list: cards.map((item) => ({ ...item, card: bytes(item.card) })) };
    await keep("cards", this.cards);
  }

  visits(before) {
    return call("GET", `/v1/wallet/visits?before=${encodeURIComponent(before)}`, { token: this.token });
  }

  async consent(purpose, given) {
    const { consents } = await call("POST", "/v1/wallet/consents", { token: this.token, body: { purpose, given } });
    this.held.consents = consents;
    await keep("held", this.held);
  }

  async unpair() {
    try {
      await call("DELETE", "/v1/wallet", { token: this.token });
    } catch (error) {
      if (error.status !== 401) throw error;
    }
    await this.forget();
  }

  async forget() {
    await forgetAll();
    this.token = undefined;
    this.held = undefined;
    this.cards = undefined;
  }

  /** The keys of a card for a suite and a day, undefined when they weren't delivered. */
  keys(card, suite, keyEpoch) {
    return card.epochs.find((epoch) => epoch.suite === suite && epoch.keyEpoch === keyEpoch);
  }

  /** The signed card of a credential for a day, undefined when it wasn't delivered. */
  card(item, keyEpoch) {
    return this.cards?.list.find((one) => one.credential_id === item.credential_id && one.key_epoch === keyEpoch)?.card;
  }

  /** The last second for which codes can be made, Unix. */
  get until() {
    const days = (this.held?.credentials ?? []).flatMap((card) => card.epochs.map((epoch) => epoch.keyEpoch));
    return days.length ? (Math.max(...days) + 1) * 86400 : 0;
  }
}

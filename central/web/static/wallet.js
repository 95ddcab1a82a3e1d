// The holder's wallet: cards, the rotating code, where one was verified, consent.
import { COMPACT, SEALED, STEP_S, canSeal, epochOf, makeCode, stepAt } from "./code.js";
import { Wallet } from "./keys.js";
import { draw } from "./qr.js";
import { make, pick, pill, t, typeName } from "./words.js";

const RENEW_MS = 60_000;
const TICK_MS = 100;
const TOGETHER_MAX = 3;
const SOON_S = 12 * 3600;
const STATUS = {
  valid: ["is-good", "accept", "有效", "Valid"], suspended: ["is-warn", "warn", "已暂停", "Suspended"],
  revoked: ["is-bad", "reject", "已撤销", "Revoked"],
};
const PURPOSES = {
  face_verification: ["人脸比对", "Face verification"],
  face_identification: ["人脸识别（1:N）", "Identification by face (1:N)"],
};

const $ = (id) => document.getElementById(id);
let wallet;
let shown = []; // cards whose codes are on the screen
let drawn = ""; // what is drawn: step, suite and cards
let online = null;
let older = "";
let wakeLock = null;

function notices() {
  const list = [];
  const say = (tone, text) => list.push([tone, text]);
  if (online === false) say("is-warn", t("没有网络：码照常生成，直到密钥用完。", "No network: codes go on until the keys end."));
  const wrong = Math.round(wallet.clock.wrong);
  if (wrong) {
    const much = Math.abs(wrong) >= 120 ? `${Math.round(Math.abs(wrong) / 60)} ${t("分钟", "min")}` : `${Math.abs(wrong)} ${t("秒", "s")}`;
    say("is-bad", wrong > 0
      ? t(`本机时间慢了 ${much}，请校准；目前按平台时间出码。`, `This device's clock is ${much} slow: set it. Codes follow the platform's time for now.`)
      : t(`本机时间快了 ${much}，请校准；目前按平台时间出码。`, `This device's clock is ${much} fast: set it. Codes follow the platform's time for now.`));
  }
  if (wallet.paired && wallet.held) {
    const left = wallet.until - wallet.clock.now();
    if (left <= 0) say("is-bad", t("密钥已用完，请联网更新。", "The keys have ended: connect to renew them."));
    else if (left < SOON_S) say("is-warn", t("密钥即将用完，请尽快联网。", "The keys end soon: connect before they do."));
  }
  $("notices").replaceChildren(...list.map(([tone, text]) => {
    const box = make("div", "", { class: `notice ${tone}` });
    box.append(make("div", text));
    return box;
  }));
  $("state").replaceChildren(online === null ? "" : pill(online ? "is-good" : "is-warn", online ? "accept" : "warn",
    online ? t("在线", "online") : t("离线", "offline")));
}

function cards() {
  const { held } = wallet;
  $("pair").hidden = wallet.paired;
  $("cards").hidden = !wallet.paired || !held;
  if (!wallet.paired || !held) return;
  $("name").textContent = held.name;
  const ticked = new Set([...document.querySelectorAll("#list input:checked")].map((box) => box.value));
  $("list").replaceChildren(...held.credentials.map((card) => {
    const row = make("div", "", { class: "passrow" });
    const box = make("input", "", { type: "checkbox", value: card.credential_id, "aria-label": `${t("选择", "Tick")} ${typeName(card.type)}` });
    box.checked = ticked.has(card.credential_id);
    box.addEventListener("change", togetherButton);
    const button = make("button", "", { type: "button", class: "pass", "data-type": card.type, "data-status": card.status });
    const [tone, sign, zh, en] = STATUS[card.status];
    button.append(make("b", typeName(card.type)));
    for (const value of Object.values(card.fields)) button.append(make("span", value, { class: "mono" }));
    if (card.status !== "valid") button.append(pill(tone, sign, t(zh, en)));
    if (card.valid_until_s) button.append(make("span", `${t("有效期至", "Valid until")} ${new Date((card.valid_until_s - 1) * 1000).toLocaleDateString()}`, { class: "small" }));
    button.addEventListener("click", () => show([card]));
    row.append(box, button);
    return row;
  }));
  togetherButton();
  $("until").textContent = wallet.until ? `${t("无网络可用至", "Works without a network until")} ${new Date(wallet.until * 1000).toLocaleString()}` : "";
  consents();
}

function togetherButton() {
  const count = document.querySelectorAll("#list input:checked").length;
  $("together").hidden = count < 2 || count > TOGETHER_MAX;
}

async function show(list) {
  shown = list;
  drawn = "";
  $("show").hidden = !list.length;
  $("codes").dataset.count = list.length;
  $("codes").replaceChildren(...list.map((card) => {
    const figure = make("figure");
    figure.append(make("canvas", "", { role: "img", "aria-label": `${t("码", "Code")}: ${typeName(card.type)}` }),
      make("figcaption", typeName(card.type)));
    return figure;
  }));
  if (list.length) {
    $("show").scrollIntoView({ block: "start" });
    wakeLock = await navigator.wakeLock?.request("screen").catch(() => null);
    await tick();
  } else await wakeLock?.release();
}

/** Draw the code of the current step when it isn't drawn yet; count the seconds down. */
async function tick() {
  if (!shown.length) return;
  const now = wallet.clock.now();
  const step = stepAt(now);
  const left = (step + 1) * STEP_S - now;
  $("left").value = left;
  $("seconds").textContent = `${Math.ceil(left)} ${t("秒", "s")}`;
  const carried = $("card").checked;
  const suite = carried || $("sealed").checked ? SEALED : COMPACT;
  const wanted = `${step} ${suite} ${carried} ${shown.map((card) => card.credential_id)}`;
  if (wanted === drawn) return;
  drawn = wanted;
  const figures = [...$("codes").children];
  for (const [index, card] of shown.entries()) {
    const keys = wallet.keys(card, suite, epochOf(step));
    const canvas = figures[index].querySelector("canvas");
    if (!keys) {
      canvas.hidden = true;
      figures[index].lastChild.textContent = t("今天没有密钥：请联网更新", "No keys for today: connect to renew");
      continue;
    }
    canvas.hidden = false;
    const signed = carried ? wallet.card(card, epochOf(step)) : undefined;
    figures[index].lastChild.textContent = carried && !signed
      ? `${typeName(card.type)} · ${t("今天没有随码证照：请联网更新", "no card for today: connect to renew")}` : typeName(card.type);
    const text = await makeCode(keys, suite, step, signed);
    if (wanted !== drawn) return;
    draw(canvas, text);
    canvas.dataset.step = step;
  }
}

function consents() {
  $("consents").replaceChildren(...wallet.held.consents.map((item) => {
    const part = make("div", "", { class: "stack visit" });
    const head = make("div", "", { class: "row between" });
    head.append(make("b", t(...(PURPOSES[item.purpose] ?? [item.purpose, item.purpose]))),
      item.given ? pill("is-good", "accept", t("已同意", "Agreed"))
        : pill(item.at_s ? "is-warn" : "", "warn", item.at_s ? t("已撤回", "Withdrawn") : t("未同意", "Not agreed")));
    const button = make("button", item.given ? t("撤回同意", "Withdraw") : t("同意", "Agree"), { type: "button", class: "quiet" });
    button.addEventListener("click", async () => {
      button.disabled = true;
      await reach(() => wallet.consent(item.purpose, !item.given));
      cards();
      notices();
    });
    part.append(head, make("p", pick(item.words), { class: "small soft" }), button);
    return part;
  }));
}

async function visits(more) {
  const page = await reach(() => wallet.visits(more ? older : ""));
  if (!page) return;
  older = page.older;
  $("more").hidden = !older;
  const rows = page.visits.map((visit) => {
    const part = make("div", "", { class: "visit" });
    const look = { accept: "accept", reject: "reject", retry: "retry", refer: "refer" }[visit.decision];
    part.append(make("div", `${new Date(visit.at_ms).toLocaleString()} · ${visit.where || "—"}`),
      make("span", `${pick(visit.scene)} · ${visit.credential_type ? typeName(visit.credential_type) : ""} `, { class: "small soft" }),
      pill(look, look, pick(visit.message)));
    return part;
  });
  if (!more) $("visits").replaceChildren();
  $("visits").append(...rows);
  if (!$("visits").children.length) $("visits").append(make("p", t("还没有", "None yet"), { class: "soft" }));
}

/** Do something over the network; say if it isn't there, and stop if the wallet isn't known any more. */
async function reach(work) {
  try {
    const result = await work();
    online = true;
    return result;
  } catch (error) {
    if (error.status === 0 || error.status >= 500) online = false;
    else if (error.status === 401) {
      await wallet.forget();
      await show([]);
      $("pairsaid").textContent = t("此钱包已被解除配对，请重新配对。", "This wallet was unpaired: pair it again.");
    } else $("pairsaid").textContent = error.message;
    return null;
  }
}

async function renew() {
  await wallet.reread();
  if (!wallet.paired && shown.length) await show([]);
  await reach(() => wallet.clock.measure());
  if (wallet.paired) await reach(() => wallet.renew());
  if (shown.length) {
    // The codes on the screen go on under the renewed keys.
    shown = shown.map((card) => wallet.held?.credentials.find((item) => item.credential_id === card.credential_id)).filter(Boolean);
  }
  cards();
  notices();
}

/** A link from the counter carries the one-time code behind the #, which no server is told. */
function takeLink() {
  const code = location.hash.slice(1);
  if (code && !wallet.paired) $("code").value = code;
  if (code) history.replaceState(null, "", location.pathname);
}

async function begin() {
  if (!window.isSecureContext || !crypto.subtle || !window.indexedDB) {
    $("notices").replaceChildren(make("div", t("请用 https 打开本页（先安装证书：/authority）。", "Open this page over https (install the certificate first: /authority)."), { class: "notice is-bad" }));
    return;
  }
  navigator.serviceWorker?.register("/wallet/worker.js", { scope: "/wallet/" });
  navigator.storage?.persist?.();
  wallet = await Wallet.open();
  $("sealed").disabled = $("card").disabled = !(await canSeal());
  takeLink();
  window.addEventListener("hashchange", takeLink);
  cards();
  notices();
  setInterval(tick, TICK_MS);
  setInterval(renew, RENEW_MS);
  window.addEventListener("online", renew);
  window.addEventListener("offline", () => {
    online = false;
    notices();
  });
  document.addEventListener("visibilitychange", () => document.hidden || renew());
  await renew();
}

$("pair").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("pairsaid").textContent = "";
  try {
    await wallet.pair($("code").value);
    online = true;
    $("code").value = "";
  } catch (error) {
    $("pairsaid").textContent = error.status === 403
      ? t("配对码错误、已用过或已过期，请索取新的。", "This code is wrong, used or expired: ask for a new one.")
      : error.message;
  }
  cards();
  notices();
});
$("together").addEventListener("click", () => {
  const ticked = new Set([...document.querySelectorAll("#list input:checked")].map((box) => box.value));
  show(wallet.held.credentials.filter((card) => ticked.has(card.credential_id)));
});
$("hide").addEventListener("click", () => show([]));
for (const box of [$("sealed"), $("card")]) {
  box.addEventListener("change", () => {
    drawn = "";
    tick();
  });
}
$("more").addEventListener("click", () => visits(true));
$("visits").parentElement.addEventListener("toggle", (event) => event.target.open && visits(false));
$("unpair").addEventListener("click", async () => {
  if (!confirm(t("解除配对并删除本设备上的密钥？", "Unpair, and delete the keys on this device?"))) return;
  await reach(() => wallet.unpair());
  await show([]);
  cards();
  notices();
});
begin();

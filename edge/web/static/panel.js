// The verdict as large words, colour, sign and sound; the shift; the state of the node's trust.
import { age, fieldName, make, pick, pill, sign, t, typeName } from "./words.js";
import { play } from "./sound.js";

const $ = (id) => document.getElementById(id);
const LARGE = {
  idle: ["请出示码", "Show the code"], accept: ["通过", "Accepted"], reject: ["拒绝", "Refused"],
  retry: ["请重试", "Try again"], wait: ["请看镜头", "Look at the camera"],
  refer: ["转人工", "Ask a person"],
};
const NEXT = {
  show_code: ["请持证人出示当前的码", "Ask the holder to show the live code"],
  capture_face: ["请持证人看镜头；不愿刷脸可人工核验", "Ask the holder to look at the camera, or decide without the face"],
  challenge: ["请持证人按提示做动作", "Ask the holder to follow the movements"],
  challenge_again: ["如需再试，请出示新的码；也可核对证件后由人工处理", "To try once more, ask for a fresh code; or check the papers"],
  call_operator: ["请核对证件或询问主管，然后在下方作出决定", "Check the papers or ask a supervisor, then decide below"],
};
const FACE_STEPS = ["capture_face", "challenge"];
const CHECKS = {
  passive: ["模型", "model"], still: ["静止画面", "still picture"], challenge: ["动作", "movements"],
};
const PAD = { passed: ["通过", "passed"], failed: ["未通过", "failed"] };
const WORST = ["accept", "retry", "wait", "refer", "reject"];
export const both = (table, key) => (table[key] ? t(...table[key]) : key);

/** Show answers of one showing (one, or several shown at once); gives the decision that counts. */
export function showAnswers(answers, silent = false) {
  const looks = answers.map((answer) =>
    answer.decision === "retry" && answer.reason === "face_absent" && FACE_STEPS.includes(answer.next)
      ? "wait" : answer.decision);
  const worst = looks.reduce((a, b) => (WORST.indexOf(b) > WORST.indexOf(a) ? b : a));
  const leading = answers[looks.indexOf(worst)];
  paint(worst, pick(leading.message));
  // A refused challenge has spent its code.
  const next = leading.next === "challenge" && leading.decision === "reject" ? "challenge_again" : leading.next;
  $("next").textContent = next ? both(NEXT, next) : "";
  const list = $("disclosed");
  list.replaceChildren();
  for (const answer of answers) {
    if (answer.credential) fact(list, t("证照", "Credential"), typeName(answer.credential.type));
    for (const [name, value] of Object.entries(answer.disclosed ?? {}))
      fact(list, fieldName(name), value);
  }
  $("evidence").textContent = evidence(leading);
  $("again").hidden = false;
  if (!silent) play(worst === "wait" ? "retry" : worst);
  return worst;
}

export function paint(look, detail) {
  $("verdict").dataset.decision = look;
  $("words").textContent = t(...LARGE[look]);
  $("detail").textContent = detail;
  $("sign").replaceChildren(...(look === "idle" ? [] : [sign(look)]));
}

export function clear() {
  paint("idle", "");
  for (const id of ["next", "evidence"]) $(id).textContent = "";
  $("disclosed").replaceChildren();
  for (const id of ["decide", "noface", "again", "ask"]) $(id).hidden = true;
}

function fact(list, name, value) {
  list.append(make("dt", name), make("dd", value));
}

function evidence(answer) {
  const e = answer.evidence;
  const parts = [
    e.mode === "online" ? t("在线", "online") : t("离线", "offline"),
    `${t("状态", "status")} ${age(e.status_age_s)}`,
    e.replay_scope === "site" ? t("全站防重放", "spent for the site") : t("本节点防重放", "spent for this node"),
  ];
  if (answer.face) {
    parts.push(`${t("比对", "score")} ${answer.face.score.toFixed(3)} / ${answer.face.threshold}`);
    parts.push(liveness(answer.face));
  }
  parts.push(`#${answer.receipt.index}`);
  return parts.join(" · ");
}

/** What was checked of liveness, and what came of it. */
function liveness(face) {
  const checks = face.pad_checks.map((name) => both(CHECKS, name)).join(t("、", ", "));
  return checks ? `${t("活体", "liveness")} ${both(PAD, face.pad)} (${checks})` : t("未查活体", "liveness not checked");
}

export function showShift(entries) {
  if (!entries.length) return;
  $("last").replaceChildren(...entries.map((entry) => {
    const row = make("tr");
    const cell = make("td");
    const look = entry.decision;
    cell.append(pill(look, look, t(...LARGE[look])));
    const person = entry.kind === "decision" ? ` (${t("人工", "by hand")})` : "";
    row.append(make("td", new Date(entry.at_ms).toLocaleTimeString(), { class: "num nowrap" }), cell,
      make("td", pick(entry.message) + person), make("td", typeName(entry.credential_type)),
      make("td", entry.actor));
    return row;
  }));
}

export function showTrust(status) {
  const online = status.mode === "online";
  const parts = [pill(online ? "is-good" : "is-warn", online ? "accept" : "warn",
    online ? t("在线", "online") : t("离线", "offline"))];
  parts.push(make("span", `${t("状态", "status")} ${age(status.status_age_s)} · ${t("密钥", "keys")} ${age(status.keys_age_s)}`,
    { class: "num" }));
  if (status.clock !== "trusted") parts.push(pill("is-warn", "warn", t("时钟存疑", "clock ") + (t("", status.clock))));
  if (!status.ready) parts.push(pill("is-bad", "reject", t("未就绪", "not ready")));
  $("trust").replaceChildren(...parts);
}

export function showCameras(cameras) {
  $("devices").replaceChildren(...cameras.map((camera, index) =>
    make("option", camera.label || `${t("摄像头", "Camera")} ${index + 1}`, { value: camera.deviceId })));
  $("devices").hidden = cameras.length < 2;
}

export function showUnreached() {
  $("trust").replaceChildren(pill("is-bad", "reject", t("连不上节点", "node not reached")));
}

export const guide = (text) => {
  if ($("guide").textContent !== text) $("guide").textContent = text;
};

// The operator's console: one camera sees the code and then the face, without a click between.
//
// - It looks at the camera some times a second (POST /v1/frames) and verifies once a showing.
// - Whatever comes in (camera, window, picture, scanner, typed text) goes the same way.
import { askFor, burst } from "./challenge.js";
import { takeDrops } from "./drop.js";
import { CallFailed, call, form, json, wait } from "./node.js";
import {
  clear, guide, paint, showAnswers, showCameras, showShift, showTrust, showUnreached,
} from "./panel.js";
import { Showings } from "./showing.js";
import { Source } from "./source.js";
import { mute, muted, play } from "./sound.js";
import { Wedge, halfWidth } from "./wedge.js";
import { make, pick, t } from "./words.js";

const LOOK_MS = 140;
const BURST = 3;
const BURST_MS = 250; // three frames span half a second: a living head has moved by then
const TRUST_MS = 2_000;
const SHIFT_MS = 8_000;
const FACE_MS_MAX = 58_000;
const TEXTS_AT_ONCE_MAX = 3;
// What a live picture is told for: these are seen only where there is a code, blur is seen everywhere.
const SAYS_A_CODE = ["too_small", "glare", "cut_off", "damaged"];
const PENDING = "kanhe-pending";
const CAMERA_NEEDED = t("动作须由摄像头拍下：请打开摄像头", "Movements are for the camera: turn it on");

const $ = (id) => document.getElementById(id);
const faceWanted = document.body.dataset.face !== "off";
const showings = new Showings();
const source = new Source($("video"), (words) => {
  phase("off");
  guide(words);
});
// What waits for a face or a decision: {id, waits, challenge, until}, and whether the next challenge waits
// for the operator (`again`), as it does after one that wasn't met.
let open = null;
let busy = false;

function phase(name) {
  $("frame").dataset.phase = name;
}

/** Run one piece of work at a time; say what went wrong. */
async function alone(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
  } catch (error) {
    failed(error);
  } finally {
    busy = false;
  }
}

function failed(error) {
  if (!(error instanceof CallFailed)) throw error;
  guide(error.message);
  if (error.status === 401) {
    paint("refer", error.message);
    $("next").replaceChildren(
      make("a", t("重新登录", "Sign in again"), { href: "/signin?next=/", class: "button" }));
    source.close();
    phase("off");
  } else if (error.status === 409) {
    nextPerson();
  }
}

/** Verify the texts of one showing. */
async function verify(texts) {
  const answers = [];
  for (const text of texts) {
    const answer = await json("POST", "/v1/verifications", {
      scene: document.body.dataset.scene, request_id: crypto.randomUUID(), presentation: text,
    });
    showings.settle(text, answer.decision, performance.now());
    answers.push(answer);
  }
  judge(answers);
}

function judge(answers, moved = false) {
  const look = showAnswers(answers);
  const answer = answers.at(-1);
  open = null;
  sessionStorage.removeItem(PENDING);
  const challenge = answer.next === "challenge";
  const waits = answers.length === 1 && answer.decision === "retry"
    && (challenge || answer.next === "capture_face");
  const again = waits && challenge && moved;
  if (waits || answer.decision === "refer") {
    open = { id: answer.verification_id, waits, challenge, again, until: Date.now() + FACE_MS_MAX };
    sessionStorage.setItem(PENDING, JSON.stringify(open));
  }
  $("decide").hidden = answer.decision !== "refer";
  $("noface").hidden = !waits;
  offerAgain(again);
  if (look === "refer") $("note").focus();
  phase(waits ? "face" : source.live ? "code" : "off");
  guide(waits ? faceWords() : "");
  shift();
}

const faceWords = () => (open.challenge && !source.live ? CAMERA_NEEDED : t("请看镜头", "Please look at the camera"));

async function capture(images, fields = {}) {
  const answer = await form(`/v1/verifications/${open.id}/captures`,
    { request_id: crypto.randomUUID(), ...fields }, images);
  judge([answer], "challenge_id" in fields);
  if (answer.decision === "retry") guide(pick(answer.message));
}

/** Look at one picture for what the console waits for. */
async function see(image, still) {
  if (open?.waits) return seeFace(image, still);
  const look = await call("POST", "/v1/frames?want=code", image, "image/jpeg");
  if (!still && !source.live) return null; // the camera went away meanwhile, and its words stand
  const fresh = showings.fresh(look.texts, performance.now());
  if (look.texts.length > 1 && (faceWanted || look.texts.length > TEXTS_AT_ONCE_MAX))
    guide(t("画面中有多个码，请只出示一个", "Several codes are in view: show only one"));
  else if (fresh.length) {
    await verify(fresh);
    // A picture may hold the face beside the code.
    if (still && open?.waits && !open.challenge) await seeFace(image, false);
  } else if (look.message && (still || SAYS_A_CODE.includes(look.why))) guide(pick(look.message));
  else if (!look.texts.length) guide(t("请把码对准取景框", "Hold the code in the frame"));
  else if (still) guide(t("该码刚才已经核验", "This code was verified just now"));
  return null;
}

async function seeFace(image, still) {
  if (Date.now() > open.until) return nextPerson();
  if (open.challenge && still) return guide(CAMERA_NEEDED);
  if (open.again || !$("decide").hidden) return null;
  const look = await call("POST", "/v1/frames?want=face", image, "image/jpeg");
  if (!look.ready) {
    guide(pick(look.message));
    return null;
  }
  if (open.challenge) return move(image);
  const images = [image];
  while (!still && source.live && images.length < BURST) {
    await wait(BURST_MS);
    const more = await source.frame();
    if (more) images.push(more);
  }
  return capture(images);
}

/** Have the holder move as the node asks, and send what the camera saw of it. */
async function move(first) {
  const held = open;
  const goesOn = () => source.live && open === held && $("decide").hidden;
  guide("");
  const given = await askFor(document.body.dataset.scene);
  const images = await burst(source, given, first, goesOn);
  if (!goesOn()) return null;
  if (images) return capture(images, { challenge_id: given.challenge_id });
  guide(t("动作未能拍完，请再试一次", "The movements weren't taken in time: try again"));
  open.again = true;
  return offerAgain(true);
}

function offerAgain(shown) {
  $("ask").hidden = !shown;
  if (shown) $("ask").focus();
}

function askAgain() {
  if (!open) return;
  open.again = false;
  offerAgain(false);
  guide(faceWords());
}

function nextPerson() {
  open = null;
  sessionStorage.removeItem(PENDING);
  clear();
  $("still").hidden = true;
  phase(source.live ? "code" : "off");
}

async function watch() {
  while (source.live) {
    const image = document.hidden ? null : await source.frame();
    if (image) await alone(() => see(image, false));
    await wait(LOOK_MS);
  }
}

async function start(opening) {
  try {
    await opening();
    phase(open?.waits ? "face" : "code");
    guide(t("请把码对准取景框", "Hold the code in the frame"));
    showCameras(await source.cameras());
    watch();
  } catch (error) {
    phase("off");
    guide(error.message);
  }
}

async function openPicture(file) {
  if (!file) return;
  if (file.size > 12 * 1024 * 1024) return guide(t("图片太大（最多 12 MB）", "The picture is too large (12 MB at most)"));
  const shown = $("still");
  URL.revokeObjectURL(shown.src);
  shown.src = URL.createObjectURL(file);
  shown.hidden = source.live;
  while (busy) await wait(30);
  await alone(() => see(file, true));
}

async function enter(text) {
  while (busy) await wait(30);
  await alone(() => verify([text]));
}

async function decide(event) {
  event.preventDefault();
  const choice = event.submitter?.value;
  while (busy) await wait(30); // a look at the camera doesn't swallow a decision
  if (!open || !choice) return;
  await alone(async () => {
    const answer = await json("POST", `/v1/verifications/${open.id}/decision`, {
      request_id: crypto.randomUUID(), decision: choice, reason: $("note").value,
    });
    $("note").value = "";
    judge([answer]);
  });
}

async function shift() {
  try {
    showShift((await call("GET", "/v1/verifications?limit=30")).verifications);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
  }
}

async function trust() {
  try {
    showTrust(await call("GET", "/v1/status"));
  } catch (error) {
    if (error.status === 401) failed(error);
    else showUnreached();
  }
}

/** A session that ended in mid-verification: go on where it was, if there is time. */
function resume() {
  const held = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  if (!held || held.until < Date.now()) return;
  open = held;
  paint(held.waits ? "wait" : "refer", t("继续刚才的核验", "Going on with the verification from before"));
  $("noface").hidden = !held.waits;
  $("decide").hidden = held.waits;
  $("again").hidden = false;
}

$("camera").addEventListener("click", () => start(() => source.openCamera($("devices").value)));
$("devices").addEventListener("change", () => start(() => source.openCamera($("devices").value)));
$("window").addEventListener("click", () => start(() => source.openWindow()));
$("file").addEventListener("change", (event) => {
  openPicture(event.target.files[0]);
  event.target.value = "";
});
$("typed").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = halfWidth($("text").value);
  $("text").value = "";
  if (text) enter(text);
});
$("decision").addEventListener("submit", decide);
$("noface").addEventListener("click", () => {
  $("decide").hidden = false;
  $("noface").hidden = true;
  $("note").focus();
});
$("ask").addEventListener("click", askAgain);
$("again").addEventListener("click", nextPerson);
$("mute").addEventListener("click", () => {
  mute(!muted);
  $("mute").setAttribute("aria-pressed", String(muted));
  if (!muted) play("retry");
});
$("mute").setAttribute("aria-pressed", String(muted));
document.addEventListener("keydown", (event) => event.key === "Escape" && nextPerson());
takeDrops($("frame"), openPicture);
new Wedge(enter).listen(window);
clear();
resume();
trust();
shift();
setInterval(trust, TRUST_MS);
setInterval(shift, SHIFT_MS);

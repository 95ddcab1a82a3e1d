// Calls to the node: with the session's token, errors in words, nothing waits for ever.
import { t } from "./words.js";

export const CALL_MS_MAX = 12_000;
export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

export class CallFailed extends Error {
  /** status 0: the node wasn't reached. */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function call(method, path, body, type) {
  const headers = { "X-Kanhe-CSRF": document.body.dataset.csrf };
  if (type) headers["Content-Type"] = type;
  let response;
  try {
    response = await fetch(path, {
      method, headers, body, credentials: "same-origin", cache: "no-store",
      signal: AbortSignal.timeout(CALL_MS_MAX),
    });
  } catch {
    throw new CallFailed(0, t("连不上节点，请检查网络", "The node can't be reached: check the network"));
  }
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new CallFailed(response.status, words(response.status, data));
  return data;
}

function words(status, problem) {
  if (status === 401) return t("登录已结束", "You are signed out");
  if (status === 503 || status === 429) return t("节点正忙，请稍候", "The node is busy: a moment, please");
  if (status === 409) return t("该核验已结束，请重新出示码", "This verification is closed: show the code again");
  return problem.detail ?? `HTTP ${status}`;
}

export const json = (method, path, value) =>
  call(method, path, JSON.stringify(value), "application/json");

export function form(path, fields, files) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  for (const file of files) data.append("face_image", file, "face.jpg");
  return call("POST", path, data);
}

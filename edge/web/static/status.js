// Keeps the status page current: draws the last minutes, renews facts, says when it can't.
import { age } from "./words.js";

const EVERY_MS = 5_000;
const CALL_MS_MAX = 4_000;
const WIDE = 120;
const HIGH = 28;
const SAMPLES = 120;
const SVG = "http://www.w3.org/2000/svg";

function shown(value, unit) {
  if (value === null || value === undefined) return "—";
  if (unit === "s" && value >= 7_200) return `${Math.floor(value / 3_600)} h`;
  if (unit === "s" && value >= 120) return `${Math.floor(value / 60)} min`;
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit ? ` ${unit}` : ""}`;
}

/** Runs of [x, y] without a gap; the newest value is at the right edge, 0 at the foot. */
function runs(values) {
  const known = values.filter((value) => value !== null);
  const high = Math.max(...known, 0) || 1;
  const low = Math.min(...known, 0);
  const found = [];
  let run = null;
  values.forEach((value, index) => {
    if (value === null) {
      run = null;
      return;
    }
    const x = WIDE - ((values.length - 1 - index) * WIDE) / (SAMPLES - 1);
    const y = HIGH - 2 - ((value - low) / (high - low || 1)) * (HIGH - 4);
    if (!run) found.push((run = []));
    run.push([x.toFixed(1), y.toFixed(1)]);
  });
  return found;
}

function draw(box, values) {
  const svg = box.querySelector("svg");
  svg.replaceChildren();
  for (const run of runs(values)) {
    if (run.length === 1) run.unshift([(run[0][0] - 1).toFixed(1), run[0][1]]);
    const path = run.map(([x, y]) => `${x} ${y}`).join("L");
    const area = `M${run[0][0]} ${HIGH}L${path}L${run.at(-1)[0]} ${HIGH}Z`;
    for (const [kind, d] of [["area", area], ["line", `M${path}`]]) {
      const element = document.createElementNS(SVG, "path");
      element.setAttribute("class", kind);
      element.setAttribute("d", d);
      svg.append(element);
    }
  }
  const last = values.findLast((value) => value !== null);
  box.querySelector("b").textContent = shown(last, box.dataset.unit);
}

function drawStages(stages) {
  const room = document.getElementById("stages");
  document.getElementById("nostages").hidden = stages.length > 0;
  for (const stage of stages) {
    const series = `stage.${stage}`;
    if (room.querySelector(`[data-series="${CSS.escape(series)}"]`)) continue;
    const box = document.getElementById("stage").content.firstElementChild.cloneNode(true);
    box.dataset.series = series;
    box.querySelector("span").textContent = stage;
    box.querySelector("svg").setAttribute("aria-label", stage);
    room.append(box);
  }
}

function factWords(value, { unit, words }) {
  if (unit === "age") return age(value);
  if (Array.isArray(value)) return value.join(", ") || "—";
  return (words && JSON.parse(words)[value]) || (value ?? "—");
}

function renew({ status, trend }) {
  drawStages(trend.stages);
  for (const box of document.querySelectorAll(".spark")) {
    draw(box, trend.series[box.dataset.series] ?? []);
  }
  const states = { ready: status.ready, not_ready: !status.ready,
    online: status.mode === "online", offline: status.mode !== "online" };
  for (const element of document.querySelectorAll("[data-when]")) {
    element.hidden = !states[element.dataset.when];
  }
  for (const element of document.querySelectorAll("[data-fact]")) {
    const value = element.dataset.fact.split(".").reduce((found, name) => found?.[name], status);
    element.textContent = factWords(value, element.dataset);
  }
}

async function look() {
  const lost = document.getElementById("lost");
  try {
    const response = await fetch("/status/live", {
      cache: "no-store", signal: AbortSignal.timeout(CALL_MS_MAX) });
    if (!response.ok) throw new Error(String(response.status));
    renew(await response.json());
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
}

look();
setInterval(() => { if (!document.hidden) look(); }, EVERY_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });

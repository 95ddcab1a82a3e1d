// Enrolment of a photograph: shown before it is sent, its quality said after; and the form of a type.
import { t } from "./words.js";

const $ = (id) => document.getElementById(id);
const NAMES = {
  eye_distance: ["人脸大小", "size"], margin: ["完整度", "margin"], under_exposure: ["亮度", "light"],
  over_exposure: ["防过曝", "glare"], contrast: ["对比度", "contrast"], sharpness: ["清晰度", "sharpness"],
  yaw: ["左右角度", "turn"], pitch: ["俯仰", "tilt"], roll: ["歪头", "lean"], mirror: ["对称度", "symmetry"],
};

$("photo")?.addEventListener("change", () => {
  const file = $("photo").files[0];
  URL.revokeObjectURL($("preview").src);
  if (file) $("preview").src = URL.createObjectURL(file);
  $("preview").hidden = !file;
});

$("enrol")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = $("photo").files[0];
  $("said").textContent = t("正在检查照片…", "Judging the photograph…");
  try {
    const response = await fetch($("enrol").dataset.to, {
      method: "POST", body: file,
      headers: { "X-Kanhe-CSRF": document.body.dataset.csrf, "Content-Type": file.type || "image/jpeg" },
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail);
    const parts = Object.entries(answer.components)
      .map(([name, value]) => `${NAMES[name] ? t(...NAMES[name]) : name} ${value.toFixed(2)}`);
    $("said").textContent = `✓ ${t("已登记，质量", "Enrolled, quality")} ${answer.quality} (${parts.join(", ")})`;
  } catch (error) {
    $("said").textContent = `✕ ${error.message}`;
  }
});

$("type")?.addEventListener("change", () => {
  for (const part of document.querySelectorAll("fieldset[data-type]"))
    part.hidden = part.dataset.type !== $("type").value;
});

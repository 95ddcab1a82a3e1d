// Both languages in one place: t("中文", "English").
const zh = document.documentElement.lang.startsWith("zh");
export const t = (chinese, english) => (zh ? chinese : english);
export const pick = (words) => (words ? (zh ? words.zh : words.en) : "");

// Names of the city's things, in the page's language.
const names = JSON.parse(document.body.dataset.names ?? "{}");
export const typeName = (type) => names.types?.[type] ?? type;
export const fieldName = (field) => names.fields?.[field] ?? field;

/** Make an element; text is always text, never markup. */
export function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

const SIGNS = {
  accept: "M4 12.5 9.5 18 20 6.5",
  reject: "M6 6l12 12M18 6 6 18",
  retry: "M20 12a8 8 0 1 1-2.6-5.9M20 3v5h-5",
  wait: "M20 12a8 8 0 1 1-2.6-5.9M20 3v5h-5",
  refer: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4 21c1-5 4-7 8-7s7 2 8 7",
  warn: "M12 3 2 20h20L12 3ZM12 10v4M12 17.5v.1",
};

/** Draw the sign of a decision. */
export function sign(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SIGNS[name] ?? SIGNS.warn);
  svg.append(path);
  return svg;
}

export function pill(tone, name, text) {
  const element = make("span", "", { class: `pill ${tone}` });
  element.append(sign(name), text);
  return element;
}

export function age(seconds) {
  if (seconds === null || seconds === undefined) return "—";
  for (const [size, unit] of [[86400, t("天", "d")], [3600, t("小时", "h")], [60, t("分", "min")]])
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.floor(seconds)} ${t("秒", "s")}`;
}

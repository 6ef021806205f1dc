// Finds and creates elements. Text is always a text node, so that user input never becomes markup.

export const byId = (id) => document.getElementById(id);

/** `el("li", { className: "x", data: { testid: "y" }, onclick: f }, "text", child)` */
export function el(tag, { data = {}, aria = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Draws an icon of 24 by 24 units, so that no font needs to have it. */
export function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** Formats a time for Korean readers. */
export function moment(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime())
    ? ""
    : date.toLocaleString("ko-KR", { month: "long", day: "numeric", hour: "numeric", minute: "2-digit" });
}

/** Shows an error; `retry` is the action of the button, when a retry makes sense. */
export function notify(error, retry) {
  const details = error.details?.length ? ` (${error.details.join(", ")})` : "";
  byId("notice-text").textContent = `${error.message}${details}`;
  byId("notice").dataset.code = error.code ?? "PAGE";
  byId("notice-retry").hidden = !retry;
  byId("notice-retry").onclick = () => { quiet(); retry?.(); };
  byId("notice").hidden = false;
}

/** Hides the last error. */
export function quiet() {
  byId("notice").hidden = true;
  delete byId("notice").dataset.code;
}

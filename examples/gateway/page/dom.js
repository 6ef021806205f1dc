// Elements by id, and new ones. Text is always a text node: nothing that anybody wrote becomes markup.

export const byId = (id) => document.getElementById(id);

/** `el("li", { className: "x", data: { testid: "y" }, onclick: f }, "text", child)` */
export function el(tag, { data = {}, aria = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A moment as people here write it. */
export function moment(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime())
    ? ""
    : date.toLocaleString("ko-KR", { month: "long", day: "numeric", hour: "numeric", minute: "2-digit" });
}

/** Shows what went wrong; `retry` is what the button does, if trying again makes sense. */
export function notify(error, retry) {
  const details = error.details?.length ? ` (${error.details.join(", ")})` : "";
  byId("notice-text").textContent = `${error.message}${details}`;
  byId("notice").dataset.code = error.code ?? "PAGE";
  byId("notice-retry").hidden = !retry;
  byId("notice-retry").onclick = () => { quiet(); retry?.(); };
  byId("notice").hidden = false;
}

/** Takes the last error away. */
export function quiet() {
  byId("notice").hidden = true;
  delete byId("notice").dataset.code;
}

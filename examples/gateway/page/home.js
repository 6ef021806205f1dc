// The views of the counsellors, of one counsellor with its bubbles, and of the counsels so far.
import { all, api, newKey } from "./api.js";
import { consented } from "./consent.js";
import { byId, el, moment, notify, quiet } from "./dom.js";
import { keepCrisis, refusal } from "./help.js";

const tones = async () => new Map((await all("/v1/tones", "tones")).map((tone) => [tone.id, tone]));

export async function showHome(current) {
  const [counselors, toneOf, counsels] = await Promise.all([
    all("/v1/counselors", "counselors"),
    tones(),
    all("/v1/counselors/all/counsels", "counsels"),
  ]);
  if (!current()) return;
  const names = new Map(counselors.map((counselor) => [counselor.id, counselor.name]));
  byId("counselors").replaceChildren(...counselors.map((it) => counselorCard(it, toneOf.get(it.toneId))));
  byId("counsels").replaceChildren(...counsels.map((it) => counselItem(it, names.get(it.counselorId))));
  byId("counsels-empty").hidden = counsels.length > 0;
}

function counselorCard(counselor, tone) {
  return el("li", { data: { testid: "counselor-card", counselorId: counselor.id } },
    el("a", { href: `#/counselors/${encodeURIComponent(counselor.id)}` },
      el("span", { className: "face", aria: { hidden: "true" } }, [...counselor.name][0] ?? "·"),
      el("strong", {}, counselor.name),
      el("p", { className: "quiet", data: { testid: "counselor-tone" } }, tone?.name ?? ""),
      el("p", {}, counselor.description)));
}

function counselItem(counsel, name) {
  return el("li", { data: { testid: "counsel-item", counselId: counsel.id } },
    el("a", { href: `#/counselors/${encodeURIComponent(counsel.counselorId)}/counsels/${encodeURIComponent(counsel.id)}` },
      el("strong", {}, name ?? "상담사"),
      el("span", { className: "quiet" }, moment(counsel.lastChatedAt ?? counsel.createdAt)),
      el("p", { className: "quiet" }, counsel.lastMessage ?? "")));
}

export async function showCounselor(id, current, tokensChanged) {
  for (const name of ["counselor-name", "counselor-tone", "counselor-description"]) byId(name).textContent = "";
  byId("bubbles").replaceChildren();
  opening(false);
  const [{ counselor }, toneOf, bubbles] = await Promise.all([
    api("GET", `/v1/counselors/${encodeURIComponent(id)}`),
    tones(),
    all(`/v1/counselors/${encodeURIComponent(id)}/bubbles`, "bubbles"),
  ]);
  if (!current()) return;
  byId("counselor-name").textContent = counselor.name;
  byId("counselor-tone").textContent = toneOf.get(counselor.toneId)?.name ?? "";
  byId("counselor-description").textContent = counselor.description;
  const start = (body) => open(id, body, current, tokensChanged);
  byId("bubbles").replaceChildren(...bubbles.map((bubble) => bubbleCard(bubble, start)));
  byId("start-counsel").onclick = () => start({});
}

function bubbleCard(bubble, start) {
  const option = (number, text) => el("button", {
    type: "button",
    data: { testid: "bubble-option", option: String(number) },
    onclick: () => start({ bubbleId: bubble.id, responseOptionNo: number }),
  }, text);
  return el("li", { data: { testid: "bubble", bubbleId: bubble.id } },
    el("strong", {}, bubble.question),
    option(1, bubble.responseOption1),
    option(2, bubble.responseOption2));
}

function opening(busy) {
  byId("opening").hidden = !busy;
  for (const button of document.querySelectorAll("#view-counselor button")) button.disabled = busy;
}

/** Opens a counsel. The key stays the same until the attempt succeeds or is refused. */
async function open(counselorId, body, current, tokensChanged) {
  const attempt = `open:${counselorId}:${body.bubbleId ?? ""}:${body.responseOptionNo ?? ""}`;
  const key = sessionStorage.getItem(attempt) ?? newKey();
  sessionStorage.setItem(attempt, key);
  quiet();
  opening(true);
  try {
    if (!await consented()) return;
    const { counsel, crisis } = await api("POST", `/v1/counselors/${encodeURIComponent(counselorId)}/counsels`, { body, key });
    sessionStorage.removeItem(attempt);
    keepCrisis(counsel.id, crisis);
    if (current()) location.hash = `#/counselors/${encodeURIComponent(counselorId)}/counsels/${encodeURIComponent(counsel.id)}`;
  } catch (error) {
    if (!error.again) sessionStorage.removeItem(attempt);
    const again = error.again ? () => open(counselorId, body, current, tokensChanged) : undefined;
    if (current()) notify({ ...error, message: refusal(error) }, again);
  } finally {
    if (current()) opening(false);
    tokensChanged();
  }
}

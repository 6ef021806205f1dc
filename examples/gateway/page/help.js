// Where to find help: in a refusal, and when a message spoke of a danger to somebody.
import { byId, el } from "./dom.js";

const OUTAGE = "지금은 상담사가 답하기 어려워요. 잠시 뒤에 다시 보내 주세요. 혹시 지금 많이 힘들거나 죽고 싶은 마음이 든다면 " +
  "기다리지 마시고 자살예방 상담전화 109(24시간)로 전화해 주세요. 위급할 때는 119나 112로 연락해 주세요.";

/** Returns the text of a refusal. Somebody who gets no reply now is told where to find help; the gateway's refusals do so too. */
export function refusal(error) {
  return error.again ? OUTAGE : error.message;
}

/** Shows the notice of an answer, with the numbers as links. It stays until the counsel is left. */
export function showCrisis(crisis) {
  if (crisis === undefined) return;
  byId("crisis-text").textContent = crisis.text;
  byId("crisis-numbers").replaceChildren(...crisis.numbers.map((number) =>
    el("li", {}, el("a", { href: `tel:${number}`, data: { testid: "crisis-number" } }, number))));
  byId("crisis").hidden = false;
}

/** The notices of counsels that were opened with an answer in danger, until their view shows them. */
const kept = new Map();

export function keepCrisis(counselId, crisis) {
  if (crisis !== undefined) kept.set(counselId, crisis);
}

/** Shows the notice of the counsel's opening, once. */
export function showKeptCrisis(counselId) {
  showCrisis(kept.get(counselId));
  kept.delete(counselId);
}

export function hideCrisis() {
  byId("crisis").hidden = true;
}

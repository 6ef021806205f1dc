// Starts: a session, then the view that the address names.
import { api } from "./api.js";
import { listen, showChat } from "./chat.js";
import { byId, moment, notify, quiet } from "./dom.js";
import { showCounselor, showHome } from "./home.js";

/** Counts views, so that an answer that comes after its view has gone is dropped. */
let view = 0;

async function start() {
  try {
    await api("POST", "/v1/auth/initiate"); // with a session it only renews it
  } catch (error) {
    notify(error, start);
    return;
  }
  showTokens();
  await route();
  document.body.dataset.ready = "true";
}

async function route() {
  const mine = ++view;
  const current = () => mine === view;
  quiet();
  const [, counselors, counselor, counsels, counsel] = location.hash.split("/").map(decodeURIComponent);
  const [name, show] =
    counselors !== "counselors" || !counselor ? ["view-home", () => showHome(current)]
    : counsels === "counsels" && counsel ? ["view-chat", () => showChat(counselor, counsel, current, tokensChanged)]
    : ["view-counselor", () => showCounselor(counselor, current, tokensChanged)];
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  try {
    await show();
  } catch (error) {
    if (current()) notify(error, route);
  }
}

async function showTokens() {
  try {
    const { messageTokens: { remaining, max, reserved, resetsAt } } = await api("GET", "/v1/users/me");
    const tokens = byId("tokens");
    tokens.textContent = `남은 메시지 ${remaining} / ${max}`;
    tokens.title = resetsAt ? `${moment(resetsAt)}에 다시 채워져요` : "";
    Object.assign(tokens.dataset, { remaining, max, reserved });
    tokens.hidden = false;
  } catch {
    // What is left is worth a look, not an alarm; the next exchange asks again.
  }
}

/** Now, and once more when the news of the reply has reached the wallet. */
function tokensChanged() {
  showTokens();
  setTimeout(showTokens, 1500);
}

byId("notice-close").addEventListener("click", quiet);
window.addEventListener("hashchange", route);
listen();
start();

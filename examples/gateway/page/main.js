// The start of the page: begins a session, then shows the view of the address.
import { api, beginSession, endSession } from "./api.js";
import { listen, showChat } from "./chat.js";
import { byId, moment, notify, quiet } from "./dom.js";
import { showCounselor, showHome } from "./home.js";

/** Counts views, so that a response that arrives after its view was left is dropped. */
let view = 0;

async function start() {
  try {
    await beginSession();
  } catch (error) {
    notify(error, error.status === 401 ? startOver : start);
    return;
  }
  showTokens();
  await route();
  document.body.dataset.ready = "true";
}

/** Begins a new session in place of one that has ended. Only the person decides that: their conversations stay behind. */
async function startOver() {
  try {
    await endSession();
  } catch (error) {
    notify(error, startOver);
    return;
  }
  await start();
}

/** Decodes a part of the address. Somebody may have written it by hand. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

async function route() {
  const mine = ++view;
  const current = () => mine === view;
  quiet();
  const [, counselors, counselor, counsels, counsel] = location.hash.split("/").map(decoded);
  const [name, show] =
    counselors !== "counselors" || !counselor ? ["view-home", () => showHome(current)]
    : counsels === "counsels" && counsel ? ["view-chat", () => showChat(counselor, counsel, current, tokensChanged)]
    : ["view-counselor", () => showCounselor(counselor, current, tokensChanged)];
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  try {
    await show();
  } catch (error) {
    if (current()) notify(error, error.status === 401 ? startOver : route);
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
    // A failure is ignored here, because the next exchange loads the balance again.
  }
}

/** Loads the balance now, and again after the event of the reply has reached the wallet. */
function tokensChanged() {
  showTokens();
  setTimeout(showTokens, 1500);
}

byId("notice-close").addEventListener("click", quiet);
window.addEventListener("hashchange", route);
listen();
start();

// The view of one counsel. A message keeps its idempotency key until it has a reply, through retries and reloads.
import { all, api, newKey } from "./api.js";
import { askAgain, consented } from "./consent.js";
import { byId, el, icon, moment, notify, quiet } from "./dom.js";
import { hideCrisis, refusal, showCrisis, showKeptCrisis } from "./help.js";

const LONGEST = 80;
const LIKE = "COUNSEL_MESSAGE_REACTION_LIKE";
const DISLIKE = "COUNSEL_MESSAGE_REACTION_DISLIKE";
/** A thumb that points up, and one that points down. */
const UP = "M7 11v9H4v-9h3zm2 9V10l4-7c1.5 0 2.5 1 2.5 2.5L15 9h4.5c1 0 1.7.9 1.5 1.9l-1.4 7.6c-.2.9-.9 1.5-1.8 1.5H9z";
const DOWN = "M7 13V4H4v9h3zm2-9v10l4 7c1.5 0 2.5-1 2.5-2.5L15 15h4.5c1 0 1.7-.9 1.5-1.9l-1.4-7.6C19.4 4.6 18.7 4 17.8 4H9z";

/** The times before the messages are watched again after the gateway has refused it: the first doubles up to the longest. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

/** The shown counsel: its path, whether it is still shown, the callback for changed tokens, the pending message and its events. */
let chat = null;

export async function showChat(counselorId, counselId, current, tokensChanged) {
  const path = `/v1/counselors/${encodeURIComponent(counselorId)}/counsels/${encodeURIComponent(counselId)}`;
  chat?.events?.close();
  chat = { path, current, tokensChanged, pending: null, slot: `pending:${counselId}`, events: undefined, pause: FIRST_PAUSE };
  byId("chat-name").textContent = "";
  byId("messages").replaceChildren();
  byId("messages").dataset.live = "false";
  byId("typing").hidden = true;
  hideCrisis();
  showKeptCrisis(counselId);
  update();
  const here = chat;
  const [{ counselor }, messages] = await Promise.all([
    api("GET", `/v1/counselors/${encodeURIComponent(counselorId)}`),
    all(`${path}/messages`, "counselMessages"),
  ]);
  if (!current()) return;
  byId("chat-name").textContent = counselor.name;
  byId("messages").replaceChildren(...messages.map((message) => messageItem(here, message)));
  resume(here, messages.at(-1));
  toEnd();
  watch(here);
  byId("message-input").focus();
}

/** Shows messages as they come. A browser connects again by itself, with the id of the last event, unless it was refused. */
function watch(here) {
  here.events?.close();
  here.events = null;
  // A browser has few connections to a host, so no tab that is not seen has one.
  if (document.hidden) return;
  const events = new EventSource(`${here.path}/messages/events`);
  here.events = events;
  events.addEventListener("open", () => {
    here.pause = FIRST_PAUSE;
    byId("messages").dataset.live = "true";
  });
  events.addEventListener("messages", (event) => {
    if (here.current()) received(here, JSON.parse(event.data));
  });
  events.addEventListener("error", () => {
    if (here.events !== events || !here.current()) {
      events.close();
      return;
    }
    byId("messages").dataset.live = "false";
    if (events.readyState === EventSource.CLOSED) setTimeout(() => watchAgain(here, events), pauseOf(here));
  });
}

/** Returns the next pause. Half of it is random, so that the clients of a restarted gateway do not come all at once. */
function pauseOf(here) {
  const pause = here.pause;
  here.pause = Math.min(pause * 2, LONGEST_PAUSE);
  return pause / 2 + Math.random() * pause / 2;
}

/** A request renews a session that has expired. A new connection begins with the newest messages, so nothing is missed. */
async function watchAgain(here, refused) {
  const isWanted = () => here.current() && here.events === refused;
  if (!isWanted()) return;
  await api("GET", here.path).catch(() => {});
  if (isWanted()) watch(here);
}

const shown = (id) => byId("messages").querySelector(`[data-message-id="${CSS.escape(id)}"]`);

/** Shows each message once by its id. The response to a message that was sent here may come before its event, or after. */
function received(here, { counselMessages, isFirst }) {
  const list = byId("messages");
  const known = counselMessages.some(({ id }) => shown(id));
  if (isFirst && counselMessages.length > 0 && list.querySelector("[data-message-id]") && !known) {
    reload(here); // more messages have come meanwhile than one event has
    return;
  }
  for (const message of counselMessages) {
    const item = shown(message.id);
    const waiting = pendingOf(here, message);
    if (item) {
      // A message that failed is offered again until it has a response.
      const isOther = item.dataset.updatedAt !== message.updatedAt;
      if (isOther && item.dataset.state !== "failed") fill(here, item, message);
    } else if (waiting) {
      if (waiting.dataset.state === "sending") fill(here, waiting, message);
      else waiting.dataset.messageId = message.id;
    } else {
      list.append(messageItem(here, message));
    }
  }
  if (counselMessages.length > 0 && !isFirst) toEnd();
}

/** Returns the item of the pending message, if this is that message. */
function pendingOf(here, message) {
  if (here.pending === null || !message.isUserMessage || message.message !== here.pending.text) return null;
  return byId("messages").querySelector("[data-testid=message]:not([data-message-id])");
}

/** Shows all messages anew. */
async function reload(here) {
  const messages = await all(`${here.path}/messages`, "counselMessages").catch(() => null);
  if (messages === null || !here.current()) return;
  const waiting = byId("messages").querySelectorAll("[data-testid=message]:not([data-message-id])");
  byId("messages").replaceChildren(...messages.map((message) => messageItem(here, message)), ...waiting);
  toEnd();
}

/** Restores a message that was pending when the page was closed, with its key. */
function resume(here, last) {
  const pending = JSON.parse(sessionStorage.getItem(here.slot) ?? "null");
  if (pending === null) return;
  here.pending = pending;
  const saved = last?.isUserMessage && last.message === pending.text;
  const item = saved ? byId("messages").lastElementChild : pendingItem(pending);
  if (!saved) byId("messages").append(item);
  failed(here, item, "답장을 받지 못했어요.");
}

function messageItem(here, message) {
  const item = el("li", { data: { testid: "message", messageId: message.id } });
  fill(here, item, message);
  return item;
}

function fill(here, item, message) {
  const author = message.isUserMessage ? "user" : "counselor";
  Object.assign(item.dataset, { author, state: "sent", messageId: message.id, updatedAt: message.updatedAt });
  const below = el("div", { className: "below" }, el("time", { dateTime: message.createdAt }, moment(message.createdAt)));
  if (!message.isUserMessage) below.append(...reactions(here, item, message));
  item.replaceChildren(el("p", { className: "said", data: { testid: "text" } }, message.message), below);
}

function reactions(here, item, message) {
  const button = (reaction, testid, path, label) => {
    const key = newKey();
    return el("button", {
      type: "button",
      disabled: message.reaction !== undefined,
      data: { testid },
      aria: { label, pressed: String(message.reaction === reaction) },
      onclick: () => react(here, item, message, reaction, key),
    }, icon(path));
  };
  return [button(LIKE, "like", UP, "좋아요"), button(DISLIKE, "dislike", DOWN, "싫어요")];
}

async function react(here, item, message, reaction, key) {
  const buttons = item.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  try {
    const path = `${here.path}/messages/${encodeURIComponent(message.id)}/react`;
    const { counselMessage } = await api("POST", path, { body: { reaction }, key });
    fill(here, item, counselMessage);
  } catch (error) {
    for (const button of buttons) button.disabled = false;
    if (here.current()) notify(error, error.again ? () => react(here, item, message, reaction, key) : undefined);
  }
}

function pendingItem(pending) {
  return el("li", { data: { testid: "message", author: "user", state: "sending" } },
    el("p", { className: "said", data: { testid: "text" } }, pending.text));
}

async function send(text) {
  const here = chat;
  if (!await agreed(consented) || !here.current() || here.pending !== null) return;
  here.pending = { key: newKey(), text };
  sessionStorage.setItem(here.slot, JSON.stringify(here.pending));
  const item = pendingItem(here.pending);
  byId("messages").append(item);
  byId("message-input").value = "";
  deliver(here, item);
}

/** Returns whether the person consents; a failure counts as no, and is shown. */
async function agreed(ask) {
  try {
    return await ask();
  } catch (error) {
    notify(error);
    return false;
  }
}

async function deliver(here, item) {
  const { key, text } = here.pending;
  quiet();
  item.dataset.state = "sending";
  item.querySelector(".below")?.remove();
  byId("typing").hidden = false;
  update();
  toEnd();
  try {
    const answer = await api("POST", `${here.path}/messages`, { body: { message: text }, key });
    forget(here, key);
    if (here.current()) answered(here, item, answer);
  } catch (error) {
    if (!error.again) forget(here, key);
    if (here.current()) refused(here, item, text, error);
  }
  here.tokensChanged();
  if (!here.current()) return;
  byId("typing").hidden = true;
  update();
  toEnd();
}

/** Shows each message once by its id: the list may have been loaded while a reply was on its way. */
function answered(here, item, { createdCounselMessage, counselorResponseMessage, crisis }) {
  const other = shown(createdCounselMessage.id);
  if (other && other !== item) item.remove();
  else fill(here, item, createdCounselMessage);
  if (!shown(counselorResponseMessage.id)) byId("messages").append(messageItem(here, counselorResponseMessage));
  showCrisis(crisis);
}

function refused(here, item, text, error) {
  if (error.again) {
    failed(here, item, refusal(error));
    return;
  }
  item.remove();
  if (byId("message-input").value === "") byId("message-input").value = text;
  if (error.code === "CONSENT_REQUIRED") agreed(askAgain);
  else notify({ ...error, message: refusal(error) });
}

function failed(here, item, why) {
  item.dataset.state = "failed";
  item.querySelector(".below")?.remove();
  const resend = () => deliver(here, item);
  const discard = () => {
    forget(here, here.pending?.key);
    item.remove();
    update();
  };
  item.append(el("div", { className: "below" },
    el("span", {}, why),
    el("button", { type: "button", data: { testid: "resend" }, onclick: resend }, "다시 보내기"),
    el("button", { type: "button", data: { testid: "discard" }, onclick: discard }, "지우기")));
}

/** Forgets a finished message. A newer message of the same counsel stays stored. */
function forget(here, key) {
  const kept = JSON.parse(sessionStorage.getItem(here.slot) ?? "null");
  if (kept?.key === key) sessionStorage.removeItem(here.slot);
  if (here.pending?.key === key) here.pending = null;
}

/** Counts as the gateway does: without surrounding spaces, in characters instead of UTF-16 units. */
function update() {
  const length = [...byId("message-input").value.trim()].length;
  byId("message-count").textContent = `${length} / ${LONGEST}`;
  byId("message-count").dataset.over = String(length > LONGEST);
  byId("message-send").disabled = length === 0 || length > LONGEST || chat === null || chat.pending !== null;
}

function toEnd() {
  window.scrollTo({ top: document.body.scrollHeight });
}

export function listen() {
  window.addEventListener("hashchange", () => {
    if (chat && !chat.current()) chat.events?.close();
  });
  document.addEventListener("visibilitychange", () => {
    if (!chat?.current() || chat.events === undefined) return;
    byId("messages").dataset.live = "false";
    watch(chat);
  });
  const input = byId("message-input");
  input.addEventListener("input", update);
  input.addEventListener("keydown", (event) => {
    // While a syllable is being composed, Enter belongs to the input method.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("message-form").requestSubmit();
  });
  byId("message-form").addEventListener("submit", (event) => {
    event.preventDefault();
    update();
    if (!byId("message-send").disabled) send(input.value.trim());
  });
}

// The consent before the first message. Without it nothing that a person writes is processed.
import { api, newKey } from "./api.js";
import { byId } from "./dom.js";

/** The version of the text on the page. A new text needs a new version, and a new consent. */
const TEXT_VERSION = "2026-11";
const SENSITIVE_DATA = "CONSENT_KIND_SENSITIVE_DATA";
const FOREIGN_MODEL = "CONSENT_KIND_FOREIGN_MODEL";

/** Whether the person has consented to the current text; null until it was asked. */
let given = null;

async function isGiven() {
  if (given === null) {
    const { consents } = await api("GET", "/v1/users/me/consents");
    given = consents.some((it) =>
      it.kind === SENSITIVE_DATA && it.withdrawnAt === undefined && it.textVersion === TEXT_VERSION);
  }
  return given;
}

/** Returns true once the person has consented, and false when they decline. */
export async function consented() {
  return await isGiven() || ask();
}

/** Asks again, after a service has refused a message for lack of a consent. */
export function askAgain() {
  given = false;
  return ask();
}

function ask() {
  const dialog = byId("consent");
  const form = byId("consent-form");
  if (dialog.open) return Promise.resolve(false);
  byId("consent-error").hidden = true;
  return new Promise((resolve) => {
    const done = (answer) => {
      form.onsubmit = byId("consent-decline").onclick = dialog.oncancel = null;
      dialog.close();
      resolve(answer);
    };
    byId("consent-decline").onclick = () => done(false);
    dialog.oncancel = () => done(false);
    form.onsubmit = async (event) => {
      event.preventDefault();
      byId("consent-agree").disabled = true;
      try {
        await give();
        given = true;
        done(true);
      } catch (error) {
        byId("consent-error").textContent = [error.message, ...error.details ?? []].join(" ");
        byId("consent-error").hidden = false;
      } finally {
        byId("consent-agree").disabled = false;
      }
    };
    dialog.showModal();
  });
}

async function give() {
  const birthday = byId("consent-birthday").value;
  const kinds = byId("consent-foreign").checked ? [SENSITIVE_DATA, FOREIGN_MODEL] : [SENSITIVE_DATA];
  for (const kind of kinds) {
    const body = { kind, textVersion: TEXT_VERSION, birthday };
    await api("POST", "/v1/users/me/consents", { body, key: newKey() });
  }
}

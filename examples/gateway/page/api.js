// The REST client. The session and the consistency token are cookies; an error has the fields of its envelope.

export class ApiError extends Error {
  constructor(status, { message, code, details }) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }

  /** True when a retry with the same key may succeed, because no service has refused the request. */
  get again() {
    return this.status === 0 || this.status === 429 || this.status >= 500 || this.code === "E40902";
  }
}

/** Longer than all deadlines of the gateway together, so that the gateway reports the error first. */
const PATIENCE = 75_000;

/** Sends a request. A session whose access token has expired is refreshed once, and the request sent again. */
export async function api(method, path, options) {
  try {
    return await send(method, path, options);
  } catch (error) {
    if (error.code !== "ACCESS_TOKEN_EXPIRED" && error.code !== "ACCESS_TOKEN_REQUIRED") throw error;
  }
  await refresh();
  return send(method, path, options);
}

/** Begins a session, or renews the one that there is. */
export async function beginSession() {
  try {
    await alone(() => send("POST", "/v1/auth/initiate"));
  } catch (error) {
    if (error.code !== "ACCESS_TOKEN_EXPIRED") throw error;
    await refresh();
  }
}

/** Removes a session that is refused, so that a new one can begin. */
export const endSession = () => alone(() => send("POST", "/v1/auth/logout"));

let refreshing;
/** Refreshes the session. Requests that fail at the same time wait for one refresh. */
function refresh() {
  refreshing ??= alone(() => send("POST", "/v1/auth/refresh")).finally(() => { refreshing = undefined; });
  return refreshing;
}

/** Runs a task in one tab at a time: a refresh token can be used once, and a second use ends the session. */
function alone(task) {
  return navigator.locks ? navigator.locks.request("hearlers-session", task) : task();
}

async function send(method, path, { body, key } = {}) {
  // The first header tells the gateway that no other site has sent this; the page is Korean, whatever the browser speaks.
  const headers = { "X-Requested-With": "hearlers", "Accept-Language": "ko" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key !== undefined) headers["Idempotency-Key"] = key;
  let response, answer;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    answer = await response.json();
  } catch {
    const message = "서버에 연결할 수 없습니다. 인터넷 연결을 확인해 주세요.";
    throw new ApiError(response && !response.ok ? response.status : 0, { code: "NETWORK", message });
  }
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer.data;
}

/** Loads all pages of a list, up to a practical limit. */
export async function all(path, field) {
  const items = [];
  let after;
  for (let page = 0; page < 20; page++) {
    const query = after === undefined ? "" : `?after=${encodeURIComponent(after)}`;
    const data = await api("GET", path + query);
    items.push(...data[field]);
    after = data.next;
    if (after === undefined) break;
  }
  return items;
}

/** Returns a new random key. `crypto.randomUUID` requires https. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

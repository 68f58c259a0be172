// The public API with the page's own login: session cookie, CSRF token, one Idempotency-Key for each intent.

export class Problem extends Error {
  /** An RFC 9457 problem document, or what stands in for one when there was no answer. */
  constructor(status, document) {
    const faults = (document.errors ?? []).map((f) => [f.path, f.message, f.suggestion].filter(Boolean).join(": "));
    super(faults.length ? faults.join("\n") : document.detail || document.title || `The server answered ${status}.`);
    this.status = status;
  }
}

const csrfToken = () => document.querySelector("#logout [name=csrfmiddlewaretoken]").value;

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID exists on secure origins only
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(`/api/${path}`, {
      credentials: "same-origin",
      signal: AbortSignal.timeout(15_000),
      ...options,
      headers: { Accept: "application/json", ...options.headers },
    });
  } catch {
    throw new Problem(0, { detail: "The server did not answer." });
  }
  const text = await response.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    // an answer of some proxy in between
  }
  if (response.ok) return body;
  throw new Problem(response.status, body ?? {});
}

export const get = (path) => call(path);

export const post = (path, body) =>
  call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken(), "Idempotency-Key": newKey() },
    body: JSON.stringify(body ?? {}),
  });

/** The first page of a list. */
export const list = async (path) => (await get(path)).results;

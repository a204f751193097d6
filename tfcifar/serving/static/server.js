// Asks the server that the page comes from, and nobody else.

let key = "";

// From now on; kept until the page is closed.
export function useKey(given) {
  key = given;
}

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// Raises Refused with the server's own words.
export async function ask(path, body) {
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", body, headers: key ? { "X-API-Key": key } : {} });
  } catch {
    throw new Refused("The server does not answer.");
  }
  if (!response.ok) {
    const answer = await response.json().catch(() => ({}));
    throw new Refused(answer.error ?? `The server answers with ${response.status}.`, response.status);
  }
  return response;
}

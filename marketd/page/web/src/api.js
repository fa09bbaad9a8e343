// SPDX-License-Identifier: Apache-2.0
// marketd's HTTP interface, and the token that this tab may have for it.

const TOKEN_KEY = "nom.token";

export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code; // "UNAUTHENTICATED", ...; "UNREACHABLE" if there was no answer.
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN_KEY),
  set: (value) => sessionStorage.setItem(TOKEN_KEY, value),
  clear: () => sessionStorage.removeItem(TOKEN_KEY),
};

// The message at /api/v1/NAME. `as` is a token to try; by default this tab's.
export async function get(name, query = {}, { as = token.get(), signal } = {}) {
  const keys = Object.entries(query).filter(([, value]) => value !== undefined && value !== "" && value !== 0);
  const url = `api/v1/${name}${keys.length ? `?${new URLSearchParams(keys)}` : ""}`;
  let response;
  try {
    response = await fetch(url, {
      headers: as ? { authorization: `Bearer ${as}` } : {},
      cache: "no-store",
      credentials: "omit",
      signal: signal ?? AbortSignal.timeout(15_000),
    });
  } catch {
    throw new ApiError("UNREACHABLE", "marketd does not answer");
  }
  let message;
  try {
    message = await response.json();
  } catch {
    throw new ApiError("UNREACHABLE", `marketd's answer cannot be read (HTTP ${response.status})`);
  }
  if (!response.ok) throw new ApiError(message.code ?? "UNKNOWN", message.message ?? `HTTP ${response.status}`);
  return message;
}

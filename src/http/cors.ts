/**
 * Cross-origin rules of the API (http-api 12–14): every origin may call it, because a caller is known by
 * what it sends with the request and never by a cookie. HTTP actions answer for themselves.
 */
const vary = "origin, access-control-request-method, access-control-request-headers";

/** The answer to any `OPTIONS` request to the API. */
export function preflightResponse(request: Request): Response {
  const headers = new Headers({
    vary,
    "access-control-allow-credentials": "true",
    "access-control-allow-methods": "GET, POST, OPTIONS, PATCH, DELETE, PUT",
    "access-control-max-age": "86400",
  });
  const origin = request.headers.get("origin");
  if (origin !== null) headers.set("access-control-allow-origin", origin);
  const requested = request.headers.get("access-control-request-headers");
  if (requested !== null) headers.set("access-control-allow-headers", requested);
  return new Response(null, { headers });
}

/** Lets the page that sent `request` read the response. */
export function allowOrigin(request: Request, response: Response): Response {
  const origin = request.headers.get("origin");
  // Without `vary` a browser could reuse what it once fetched without an origin (an image) for a page's own fetch.
  if (origin !== null || request.method === "GET") response.headers.set("vary", vary);
  if (origin !== null) {
    response.headers.set("access-control-allow-origin", origin);
    response.headers.set("access-control-allow-credentials", "true");
  }
  return response;
}

/** How old a signature may be, so that a recorded request is of no use later, in milliseconds. */
const ageMaxMs = 5 * 60_000;

/**
 * Whether `header` is `t=<seconds since the epoch>,v1=<HMAC-SHA256 of "<t>.<body>" in hex digits>`, made with `secret`
 * a moment ago.
 */
export async function isSigned(
  body: string,
  header: string | null,
  secret: string,
): Promise<boolean> {
  const [, timestamp, digits] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header ?? "") ?? [];
  if (timestamp === undefined || digits === undefined) return false;
  if (Math.abs(Date.now() - Number(timestamp) * 1000) > ageMaxMs) return false;
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey(
    "raw",
    encoder.encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["verify"],
  );
  const signature = Uint8Array.from(
    digits.match(/../g)!,
    (pair) => parseInt(pair, 16),
  );
  // Takes the same time wherever the first difference is.
  return await crypto.subtle.verify(
    "HMAC",
    key,
    signature,
    encoder.encode(`${timestamp}.${body}`),
  );
}

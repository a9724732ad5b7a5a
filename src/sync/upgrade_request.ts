/** What makes a request one for a WebSocket. */
import { RequestError } from "../errors.ts";

/** @throws RequestError that names what is missing (sync-protocol 4). */
export function requireUpgrade({ method, headers }: Request): void {
  const checks: readonly [isMet: boolean, code: string, message: string][] = [
    [method === "GET", "MethodNotGet", "Request method must be `GET`"],
    [
      hasToken(headers.get("connection"), "upgrade"),
      "InvalidConnectionHeader",
      "Connection header did not include 'upgrade'",
    ],
    [
      hasToken(headers.get("upgrade"), "websocket"),
      "InvalidUpgradeHeader",
      "`Upgrade` header did not include 'websocket'",
    ],
    [
      headers.get("sec-websocket-version") === "13",
      "InvalidWebSocketVersionHeader",
      "`Sec-WebSocket-Version` header did not include '13'",
    ],
    [
      headers.has("sec-websocket-key"),
      "WebSocketKeyHeaderMissing",
      "`Sec-WebSocket-Key` header missing",
    ],
  ];
  const failed = checks.find(([isMet]) => !isMet);
  if (failed !== undefined) throw new RequestError("badRequest", failed[1], failed[2]);
}

function hasToken(header: string | null, token: string): boolean {
  return header?.toLowerCase().split(",").some((part) => part.trim() === token) ?? false;
}

/** The endpoint of live clients: it turns a request into a WebSocket (sync-protocol 1). */
import type { ApiRequest } from "./api_request.ts";
import { type ClientVersion, isAtLeast, npmClient, unknownClient } from "./client_version.ts";
import type { ApiHandlers } from "./routes.ts";

/** What takes over the socket; `SyncServer` of src/sync/ is the implementation. */
export interface SocketAcceptor {
  /** `chunks`: the client understands results that come in pieces. `client`: see `CallContext.client`. */
  accept(
    request: Request,
    options: { readonly chunks: boolean; readonly client: string },
  ): Response;
}

export function syncApi(sockets: SocketAcceptor) {
  return {
    sync(request) {
      const client = clientOf(request);
      const chunks = client.name === "npm" && isAtLeast(client, 1, 28, 0);
      return sockets.accept(request.raw, { chunks, client: request.sender });
    },
  } satisfies Partial<ApiHandlers>;
}

/** Browsers cannot set headers on a socket, so the path names their version; the header wins. */
function clientOf({ client, path }: ApiRequest): ClientVersion {
  if (client !== unknownClient) return client;
  const version = /^\/api\/(.+)\/sync$/.exec(path)?.[1];
  return version === undefined ? unknownClient : npmClient(version);
}

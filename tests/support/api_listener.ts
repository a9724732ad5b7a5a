/** The HTTP edge on a real listener, over parts that a test makes. */
import { makeAdminKey } from "../../src/auth/admin_key.ts";
import { Authenticator } from "../../src/auth/authenticate.ts";
import { TokenVerifier } from "../../src/auth/token_verifier.ts";
import { type Config, defaultConfig } from "../../src/config.ts";
import { systemEnvironment } from "../../src/environment.ts";
import { RequestIds } from "../../src/functions/request_id.ts";
import type { RequestServices } from "../../src/http/api_request.ts";
import { listen } from "../../src/http/listener.ts";
import { BodyReader } from "../../src/http/request_body.ts";
import { apiAndApp, type AppHandler } from "../../src/http/request_handler.ts";
import { type ApiHandlers, RouteTable } from "../../src/http/routes.ts";

export const adminKey = makeAdminKey("test-instance", new Uint8Array(32).fill(5));
export const asAdmin = { authorization: `Convex ${adminKey}` };

export interface ApiListener extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

export function requestServices(config: Partial<Config> = {}): RequestServices {
  const merged = { ...defaultConfig, ...config };
  return {
    authenticator: new Authenticator(adminKey, withoutProviders()),
    bodies: new BodyReader(merged, systemEnvironment),
    config: merged,
    requestIds: new RequestIds(systemEnvironment),
    instanceName: "test-instance",
  };
}

/** Refuses every token. */
export function withoutProviders(): TokenVerifier {
  return new TokenVerifier({
    environment: systemEnvironment,
    fetchDocument: () => Promise.reject(new Error("there is no provider to ask")),
    redact: false,
  });
}

/** Listens with these handlers; the others of the API, and the app unless it is given, answer 501. */
export function listenWith(
  handlers: Partial<ApiHandlers>,
  options: { readonly app?: AppHandler; readonly config?: Partial<Config> } = {},
): ApiListener {
  const missing = () => new Response("not part of this test", { status: 501 });
  const all = new Proxy(handlers, {
    get: (target, name) => Reflect.get(target, name) ?? missing,
  }) as ApiHandlers;
  const app = options.app ?? { handle: async () => missing() };
  const services = requestServices(options.config);
  const handler = apiAndApp(new RouteTable(all), app, services);
  const listener = listen("127.0.0.1", 0, (request) => handler(request, "client"));
  return {
    url: listener.url,
    port: listener.port,
    async [Symbol.asyncDispose]() {
      listener.abort();
      await listener.drain().catch(() => {});
    },
  };
}

/** Sends bytes as they are and returns all that comes back; the request must ask for `Connection: close`. */
export async function sendRaw(port: number, text: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(text));
  const buffer = new Uint8Array(64 * 1024);
  let answer = "";
  for (let count = await connection.read(buffer); count !== null;) {
    answer += new TextDecoder().decode(buffer.subarray(0, count));
    count = await connection.read(buffer);
  }
  return answer;
}

/** The function runner over a fake backend and virtual time. */
import { type Config, defaultConfig } from "../../src/config.ts";
import type { CallContext, Caller, QueryRequest } from "../../src/functions/functions.ts";
import type { HostServices } from "../../src/functions/host_services.ts";
import { createFunctions } from "../../src/functions/runner.ts";
import type { AnalyzedModule } from "../../src/isolate/protocol.ts";
import { LogStore } from "../../src/logs/log_store.ts";
import { ServerMetrics } from "../../src/metrics/server_metrics.ts";
import { FakeBackend, type FakeFunction } from "./fake_backend.ts";
import { FakeEnvironment } from "./fake_environment.ts";

export const anonymous: Caller = { kind: "anonymous" };
export const admin: Caller = { kind: "admin", impersonating: null };

export function user(name: string, expiresAt: number | null = null): Caller {
  return { kind: "user", identity: { tokenIdentifier: `test|${name}`, name }, expiresAt };
}

export interface HarnessOptions {
  readonly config?: Partial<Config>;
  readonly httpRoutes?: AnalyzedModule["httpRoutes"];
  readonly services?: Partial<HostServices>;
}

export function startFunctions(
  functions: Readonly<Record<string, FakeFunction>>,
  options: HarnessOptions = {},
) {
  const environment = new FakeEnvironment();
  const backend = new FakeBackend();
  const logs = new LogStore(environment);
  const config = { ...defaultConfig, ...options.config };
  const runner = createFunctions({
    environment,
    config,
    isolates: backend,
    committer: backend,
    sessions: backend,
    services: options.services as HostServices,
    logs,
    metrics: new ServerMetrics(),
  });
  const deploy = (next: Readonly<Record<string, FakeFunction>>) =>
    runner.setDeployment(...backend.deployment(next, options.httpRoutes ?? null));
  deploy(functions);
  return { environment, backend, logs, config, runner, deploy };
}

let requests = 0;

export function context(caller: Caller = anonymous): CallContext {
  return { caller, requestId: `request ${++requests}`, origin: "HttpApi" };
}

export function queryRequest(
  path: string,
  options: { args?: string; journal?: string | null; caller?: Caller } = {},
): QueryRequest {
  const { args = "[{}]", journal = null, caller } = options;
  return { path, args, journal, context: context(caller) };
}

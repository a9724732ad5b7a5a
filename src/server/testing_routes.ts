/** The handlers that a test server has besides, loaded with the first request of a test. */
import type { LiveDeployment } from "../deploy/live_deployment.ts";
import { lazyApi } from "../http/lazy_api.ts";
import type { TestingHandlers } from "../http/routes.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import type { CronJobs } from "../scheduler/cron_jobs.ts";
import type { ScheduledFunctions } from "../scheduler/scheduled_functions.ts";
import type { TestClock } from "../testing/test_clock.ts";
import { once } from "./once.ts";

export interface TestingParts {
  readonly clock: TestClock;
  readonly transactions: ServerTransactions;
  readonly scheduler: ScheduledFunctions;
  readonly cronJobs: CronJobs;
  readonly live: LiveDeployment;
}

export function testingRoutes(
  { clock, transactions, scheduler, cronJobs, live }: TestingParts,
): TestingHandlers {
  const loadTestingApi = once(async () => {
    const { TestControl } = await import("../testing/test_control.ts");
    const { testingApi } = await import("../http/testing_api.ts");
    const { cronDefinitionsOf } = await import("../deploy/cron_definitions.ts");
    return testingApi(
      new TestControl({
        clock,
        transactions,
        scheduled: scheduler.due,
        cronJobs: cronJobs.due,
        cronDefinitions: () => live.record === null ? new Map() : cronDefinitionsOf(live.record),
      }),
    );
  });
  return lazyApi(
    ["testClock", "moveTestClock", "runScheduledFunctions", "clearTestServer"],
    loadTestingApi,
  );
}

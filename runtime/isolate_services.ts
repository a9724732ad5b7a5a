/** What one isolate has once, for all calls that it runs. */
import type { Heartbeat } from "../src/isolate/heartbeat.ts";
import type { IsolateLimits } from "../src/isolate/isolate_data.ts";
import type { Realm } from "./realm.ts";

export interface IsolateServices {
  readonly realm: Realm;
  readonly heartbeat: Heartbeat;
  /** Never used twice while the server lives. */
  readonly isolate: number;
  readonly limits: IsolateLimits;
  /** For faults that are not the user's. */
  readonly reportFault: (error: unknown) => void;
}

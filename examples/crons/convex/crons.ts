import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";

const crons = cronJobs();

// Runs when it is pushed, then every two seconds.
crons.interval("heartbeat", { seconds: 2 }, internal.beats.beat, { job: "heartbeat" });

// All times are UTC.
crons.hourly("tidy up", { minuteUTC: 0 }, internal.beats.tidyUp);
crons.weekly(
  "sunday report",
  { dayOfWeek: "sunday", hourUTC: 8, minuteUTC: 30 },
  internal.beats.report,
);
crons.cron("working hours", "*/15 9-17 * * mon-fri", internal.beats.beat, { job: "working hours" });

export default crons;

import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";

const crons = cronJobs();
crons.daily("report", { hourUTC: 8, minuteUTC: 0 }, internal.reminders.report);
export default crons;

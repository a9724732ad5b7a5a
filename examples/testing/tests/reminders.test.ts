import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { api } from "../convex/_generated/api";
import { startHull, type TestHull } from "./hull_testing";

let hull: TestHull;
beforeAll(async () => {
  hull = await startHull({ app: "." });
}, 60_000);
beforeEach(() => hull.clear());
afterAll(() => hull.stop());

/** A client that is signed in as somebody. */
function as(subject: string): ConvexHttpClient {
  const client = new ConvexHttpClient(hull.url);
  hull.actAs(client, { subject, name: subject });
  return client;
}

test("a reminder is sent when its time has come", async () => {
  const ada = as("ada");
  await ada.mutation(api.reminders.remindMe, { text: "tea", inMinutes: 10 });

  await hull.advance({ minutes: 9 });
  expect((await ada.query(api.reminders.mine)).map(({ sentAt }) => sentAt)).toEqual([null]);

  const before = await hull.now();
  await hull.advance({ minutes: 1 });
  const [reminder] = await ada.query(api.reminders.mine);
  expect(reminder!.sentAt).toBeGreaterThanOrEqual(before);
});

test("everybody sees reminders of their own, and nobody else's", async () => {
  await as("ada").mutation(api.reminders.remindMe, { text: "tea", inMinutes: 1 });
  expect(await as("ada").query(api.reminders.mine)).toHaveLength(1);
  expect(await as("bob").query(api.reminders.mine)).toEqual([]);
  const stranger = new ConvexHttpClient(hull.url, { logger: false });
  await expect(stranger.mutation(api.reminders.remindMe, { text: "tea", inMinutes: 1 }))
    .rejects.toThrow("Sign in first");
});

test("a page is told when the reminder has been sent", async () => {
  const page = new ConvexClient(hull.url);
  hull.actAs(page, { subject: "ada" });
  const sent = new Promise((resolve) => {
    page.onUpdate(api.reminders.mine, {}, ([reminder]) => {
      if (reminder?.sentAt) resolve(reminder.text);
    });
  });
  await as("ada").mutation(api.reminders.remindMe, { text: "tea", inMinutes: 60 });
  await hull.runScheduled();
  expect(await sent).toBe("tea");
  await page.close();
});

test("the report is written every morning at eight", async () => {
  const client = new ConvexHttpClient(hull.url);
  await hull.advance({ days: 3 });
  const reports = await client.query(api.reminders.reports);
  expect(reports).toHaveLength(3);
  for (const { at } of reports) {
    expect(new Date(at).toISOString()).toMatch(/T08:00:0/);
  }
});

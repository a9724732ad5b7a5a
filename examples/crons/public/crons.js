// The page: two live queries and two mutations. What it shows changes when jobs run, not when it asks.

/* global convex */
const { anyApi: api, ConvexClient } = convex;

const client = new ConvexClient(location.origin);
const element = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

client.onUpdate(api.beats.list, {}, (beats) => {
  element("beats").replaceChildren(
    ...beats.map(({ job, _creationTime }) => row(make("span", job), time(_creationTime))),
  );
}, showError);

client.onUpdate(api.reminders.list, {}, (reminders) => {
  element("reminders").replaceChildren(...reminders.map(reminderRow));
  element("reminders").hidden = false;
}, showError);

function reminderRow({ _id, text, state, dueAt, firedAt }) {
  const parts = [make("span", text)];
  if (firedAt !== undefined) return row(...parts, make("span", "reminded", "state"), time(firedAt));
  if (state !== "pending") return row(...parts, make("span", state, "state"));
  const cancel = make("button", "Cancel");
  cancel.type = "button";
  cancel.addEventListener(
    "click",
    () => attempt(client.mutation(api.reminders.cancel, { id: _id })),
  );
  return row(...parts, make("span", "due at", "state"), time(dueAt), cancel);
}

element("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = element("text").value;
  const afterMs = Number(element("seconds").value) * 1000;
  if (await attempt(client.mutation(api.reminders.create, { text, afterMs }))) {
    element("text").value = "";
  }
});

async function attempt(promise) {
  try {
    await promise;
    element("error").hidden = true;
    return true;
  } catch (error) {
    showError(error);
    return false;
  }
}

function showError(error) {
  element("error").textContent = error.data ?? error.message;
  element("error").hidden = false;
}

function row(...children) {
  const item = document.createElement("li");
  item.append(...children);
  return item;
}

function time(atMs) {
  const made = make("time", clock.format(atMs));
  made.dateTime = new Date(atMs).toISOString();
  return made;
}

function make(tag, text, className = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

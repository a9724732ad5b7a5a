// The page: one live query and three mutations. Change this file and load the page again.

/* global convex */
const { anyApi: api, ConvexClient } = convex;

const client = new ConvexClient(location.origin);
const element = (id) => document.getElementById(id);

client.onUpdate(api.tasks.list, {}, showTasks, showError);

element("new").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = element("text").value;
  if (await attempt(client.mutation(api.tasks.create, { text }))) element("text").value = "";
});

element("clear").addEventListener("click", () => attempt(client.mutation(api.tasks.clear, {})));

function showTasks(tasks) {
  element("tasks").replaceChildren(...tasks.map(taskItem));
  element("tasks").hidden = false;
}

function taskItem({ _id, text, isDone }) {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = isDone;
  box.addEventListener(
    "change",
    () => attempt(client.mutation(api.tasks.setDone, { id: _id, isDone: box.checked })),
  );
  const label = document.createElement("label");
  label.append(box, text);
  const item = document.createElement("li");
  item.append(label);
  return item;
}

/** Resolves with whether it worked; what did not is said on the page. */
async function attempt(result) {
  try {
    await result;
    element("error").hidden = true;
    return true;
  } catch (error) {
    showError(error);
    return false;
  }
}

function showError(error) {
  // A ConvexError carries what the function wants people to read; other errors are for developers.
  element("error").textContent = error.data ?? error.message;
  element("error").hidden = false;
}

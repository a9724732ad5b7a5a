// The chat page: one live query, one mutation, two actions, through the npm package's browser client.

/* global convex */
const { anyApi: api, ConvexClient } = convex;

const client = new ConvexClient(location.origin);
const newest = { limit: 50 };

const element = (id) => document.getElementById(id);
const scroller = element("scroller");
const list = element("messages");
const author = element("author");
const body = element("body");

author.value = localStorage.getItem("author") ?? `Guest ${Math.floor(100 + Math.random() * 900)}`;
author.addEventListener("change", () => localStorage.setItem("author", author.value.trim()));

element("curl").textContent = `curl -d '{"author": "Curl", "body": "Hello world"}' \\
  -H 'content-type: application/json' \\
  ${location.origin}/postMessage`;

// Messages

client.onUpdate(api.messages.list, newest, showMessages, (error) => showError(error));

/** Rows by document id: a message that is on the page already keeps its element. */
let rows = new Map();

function showMessages(messages) {
  const atBottom = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
  rows = new Map(
    messages.toReversed().map((message) => [message._id, rows.get(message._id) ?? row(message)]),
  );
  list.replaceChildren(...rows.values());
  element("empty").hidden = messages.length > 0;
  if (atBottom) scroller.scrollTop = scroller.scrollHeight;
}

function row({ author, body, _creationTime, pending }) {
  const item = document.createElement("li");
  item.className = pending ? "pending" : "";
  const avatar = make("span", "avatar", author.trim().charAt(0).toUpperCase());
  avatar.style.setProperty("--hue", hue(author));
  avatar.setAttribute("aria-hidden", "true");
  const byline = make("span", "byline");
  const time = make("time", "", clock.format(_creationTime));
  time.dateTime = new Date(_creationTime).toISOString();
  byline.append(make("strong", "", author), time);
  item.append(avatar, byline, make("p", "text", body));
  return item;
}

function make(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** One colour an author, the same on every page. */
function hue(name) {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 360;
  return hash;
}

// Sending

element("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const message = { author: author.value.trim(), body: body.value.trim() };
  if (message.author === "") return author.focus();
  if (message.body === "") return;
  body.value = "";
  try {
    await client.mutation(api.messages.send, message, { optimisticUpdate: showAtOnce });
    element("error").hidden = true;
  } catch (error) {
    showError(error);
    // What could not be sent goes back into the box, unless something else is being written there.
    if (body.value === "") body.value = message.body;
  }
});

/** Shows the message before the server has it; the client takes it away when the real one arrives. */
function showAtOnce(store, message) {
  const shown = store.getQuery(api.messages.list, newest);
  if (shown === undefined) return;
  const pending = {
    ...message,
    _id: crypto.randomUUID?.() ?? String(Math.random()),
    _creationTime: Date.now(),
    pending: true,
  };
  store.setQuery(api.messages.list, newest, [pending, ...shown].slice(0, newest.limit));
}

// Actions

element("words").addEventListener("click", () =>
  act(async () => {
    await client.action(api.messages.announceWordCount, { author: author.value.trim() });
  }));

element("fingerprint").addEventListener("click", () =>
  act(async () => {
    const { digest, node } = await client.action(api.fingerprint.sha256, {});
    element("note").textContent = `This conversation is ${digest.slice(0, 16)}… (Node.js ${node})`;
    element("note").hidden = false;
  }));

async function act(action) {
  try {
    await action();
  } catch (error) {
    showError(error);
  }
}

// Connection and errors

client.subscribeToConnectionState(showConnection);
showConnection(client.connectionState());

function showConnection({ isWebSocketConnected, hasEverConnected }) {
  const state = isWebSocketConnected ? "connected" : "connecting";
  const text = isWebSocketConnected
    ? "Connected"
    : hasEverConnected
    ? "Reconnecting…"
    : "Connecting…";
  const connection = element("connection");
  if (connection.dataset.state === state && connection.textContent === text) return;
  connection.dataset.state = state;
  connection.textContent = text;
}

function showError(error) {
  // A ConvexError carries what the function wants people to read; other errors are for developers.
  element("error").firstElementChild.textContent = error.data ?? error.message;
  element("error").hidden = false;
}

element("error").lastElementChild.addEventListener("click", () => {
  element("error").hidden = true;
});

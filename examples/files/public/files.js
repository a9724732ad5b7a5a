// The page: one live query, three mutations, and uploads by XMLHttpRequest, which tells how far they are.

/* global convex */
const { anyApi: api, ConvexClient } = convex;

const client = new ConvexClient(location.origin);
const element = (id) => document.getElementById(id);

// Files

client.onUpdate(api.files.list, {}, showFiles, showError);

/** Rows by document id: a file that is on the page already keeps its element, and its picture. */
let rows = new Map();

function showFiles(files) {
  rows = new Map(files.map((file) => [file._id, rows.get(file._id) ?? fileRow(file)]));
  element("files").replaceChildren(...rows.values());
  element("empty").hidden = files.length > 0;
}

function fileRow({ _id, name, contentType, size, url }) {
  const details = make("span", `${contentType ?? "unknown type"} · ${formatSize(size)}`, "details");
  const item = row(thumbnail(name, contentType, url), make("strong", name), details);
  // Null when the stored file was deleted without its document.
  if (url !== null) {
    const download = make("a", "Download");
    download.href = url;
    download.download = name;
    // Browsers open what another origin serves (localhost is not 127.0.0.1): not in place of this page.
    download.target = "_blank";
    download.setAttribute("aria-label", `Download ${name}`);
    item.append(download);
  }
  const remove = make("button", "Delete");
  remove.type = "button";
  remove.setAttribute("aria-label", `Delete ${name}`);
  remove.addEventListener("click", async () => {
    remove.disabled = true;
    await attempt(() => client.mutation(api.files.remove, { id: _id }));
    remove.disabled = false;
  });
  item.append(remove);
  return item;
}

/** The picture, or the end of the file's name when it is none that this browser can show. */
function thumbnail(name, contentType, url) {
  const ending = /\.([^.]{1,4})$/.exec(name)?.[1] ?? "file";
  const sign = make("span", ending, "thumbnail");
  sign.setAttribute("aria-hidden", "true");
  if (url === null || !contentType?.startsWith("image/")) return sign;
  const image = make("img", "", "thumbnail");
  image.alt = "";
  image.addEventListener("error", () => image.replaceWith(sign));
  image.src = url;
  return image;
}

function formatSize(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return new Intl.NumberFormat(undefined, {
    style: "unit",
    unit: units[power],
    unitDisplay: power === 0 ? "long" : "short",
    maximumFractionDigits: 1,
  }).format(bytes / 1000 ** power);
}

// Uploads

element("picker").addEventListener("change", ({ target }) => {
  for (const file of target.files) upload(file);
  // So that the same file can be chosen again.
  target.value = "";
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  element("drop").classList.add("over");
});
document.addEventListener("dragleave", ({ relatedTarget }) => {
  if (relatedTarget === null) element("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  element("drop").classList.remove("over");
  for (const file of event.dataTransfer.files) upload(file);
});

async function upload(file) {
  const progress = make("progress", "");
  progress.max = 1;
  progress.value = 0;
  progress.setAttribute("aria-label", `Uploading ${file.name}`);
  const item = row(
    make("strong", file.name),
    make("span", formatSize(file.size), "details"),
    progress,
  );
  element("uploads").append(item);
  await attempt(async () => {
    const url = await client.mutation(api.files.generateUploadUrl, {});
    const storageId = await send(url, file, (part) => progress.value = part);
    await client.mutation(api.files.add, { storageId, name: file.name });
  });
  item.remove();
}

/** Sends the file as the body, with its type as content type; resolves to its storage id. */
function send(url, file, showPart) {
  return new Promise((resolve, reject) => {
    const fail = (reason) => reject(new Error(`${file.name} was not uploaded: ${reason}`));
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      if (total > 0) showPart(loaded / total);
    });
    request.addEventListener("load", () => {
      const { status, response } = request;
      if (status === 200) resolve(response.storageId);
      else fail(response?.message ?? `the server answered ${status}`);
    });
    request.addEventListener("error", () => fail("the connection or the file broke off"));
    request.send(file);
  });
}

// Errors

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    showError(error);
  }
}

function showError(error) {
  // A ConvexError carries what the function wants people to read; other errors are for developers.
  element("error").firstElementChild.textContent = error.data ?? error.message;
  element("error").hidden = false;
}

element("error").lastElementChild.addEventListener("click", () => {
  element("error").hidden = true;
});

// Elements

function row(...children) {
  const item = document.createElement("li");
  item.append(...children);
  return item;
}

function make(tag, text, className = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

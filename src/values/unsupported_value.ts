/** What the function library says of things that are no values; apps and their tests know these texts. */

const learnMore =
  "To learn about Convex's supported types, see https://docs.convex.dev/using/types.";

/** The text for `value`, found at `path` of what the user passed. */
export function unsupportedText(
  value: unknown,
  path: readonly (string | number)[],
  original: unknown,
): string {
  const steps = path.map((step) => typeof step === "number" ? `[${step}]` : `.${step}`).join("");
  const place = steps === ""
    ? ""
    : ` (present at path ${steps} in original object ${renderAnything(original)})`;
  if (value === undefined) return `undefined is not a valid Convex value${place}. ${learnMore}`;
  const text = `${typePrefix(value)}${
    renderAnything(value)
  } is not a supported Convex type${place}.`;
  return steps === "" ? text : `${text} ${learnMore}`;
}

function typePrefix(value: unknown): string {
  if (value instanceof Map) return "Map";
  if (value instanceof Set) return "Set";
  const name = Object(value).constructor?.name;
  return name ? `${name} ` : "";
}

const renderedLengthMax = 16_384;
const truncated = "[...truncated]";

function renderAnything(value: unknown): string {
  const iterable = value instanceof Map || value instanceof Set ? [...value] : value;
  const text = JSON.stringify(iterable, (_key, member) => {
    if (member === undefined) return "undefined";
    if (typeof member === "function") return "[Function]";
    if (typeof member === "symbol") return String(member);
    return typeof member === "bigint" ? `${member}n` : member;
  });
  if (text.length <= renderedLengthMax) return text;
  const beginning = text.slice(0, renderedLengthMax - truncated.length);
  return beginning.replace(/[\ud800-\udbff]$/, "") + truncated;
}

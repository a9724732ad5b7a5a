/** Predicates over untrusted values, and how to build larger ones from smaller ones. */
export type Shape = (value: unknown) => boolean;

export const text: Shape = (value) => typeof value === "string";
export const flag: Shape = (value) => typeof value === "boolean";
export const finite: Shape = Number.isFinite;
/** A whole number from 0 that a double holds exactly. */
export const count: Shape = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
export const anything: Shape = () => true;

export function oneOf(...values: readonly string[]): Shape {
  return (value) => values.includes(value as string);
}

export function nullable(shape: Shape): Shape {
  return (value) => value === null || shape(value);
}

export function optional(shape: Shape): Shape {
  return (value) => value === undefined || shape(value);
}

export function anyOf(...shapes: readonly Shape[]): Shape {
  return (value) => shapes.some((shape) => shape(value));
}

export function listOf(shape: Shape): Shape {
  return (value) => Array.isArray(value) && value.every(shape);
}

export function tuple(...shapes: readonly Shape[]): Shape {
  return (value) =>
    Array.isArray(value) && value.length === shapes.length &&
    shapes.every((shape, index) => shape(value[index]));
}

/** An object in which every named field has its shape; other fields are not looked at. */
export function record(fields: Readonly<Record<string, Shape>>): Shape {
  const entries = Object.entries(fields);
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    const object = value as Record<string, unknown>;
    return entries.every(([name, shape]) =>
      shape(Object.hasOwn(object, name) ? object[name] : undefined)
    );
  };
}

/** An object whose values all have this shape. */
export function mapOf(shape: Shape): Shape {
  return (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.values(value).every(shape);
}

/** How many actions of one client may run when `max` may in all: the others find up to a quarter free. */
export function actionsOfClientMax(max: number): number {
  return Math.ceil(max * 3 / 4);
}

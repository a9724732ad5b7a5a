/** The clock of a test server: from the first time that it is not the machine's, `Date` shows it. */

const MachineDate = Date;
let offsetMs = 0;

/** How far the clock is from the machine's, in milliseconds: for the whole process, as there is one clock for all. */
export function setClockOffset(ms: number): void {
  offsetMs = ms;
  if (ms !== 0 && globalThis.Date === MachineDate) globalThis.Date = movedDate();
}

function movedDate(): DateConstructor {
  const now = () => MachineDate.now() + offsetMs;
  return new Proxy(MachineDate, {
    apply: () => new MachineDate(now()).toString(),
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    get: (target, key, receiver) => key === "now" ? now : Reflect.get(target, key, receiver),
  });
}

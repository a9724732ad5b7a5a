/** How often a run came upon what it is for. */
export interface Encounters {
  conflicts: number;
  /** Commits on top of others that were not yet decided, and such that had to be given up with them. */
  builtOnUndecided: number;
  fellWithUndecided: number;
  onLane: number;
  replays: number;
  crashes: number;
  /** Commits that were visible, not on disk, and gone after a crash. */
  lost: number;
  indexChanges: number;
}

export function noEncounters(): Encounters {
  return {
    conflicts: 0,
    builtOnUndecided: 0,
    fellWithUndecided: 0,
    onLane: 0,
    replays: 0,
    crashes: 0,
    lost: 0,
    indexChanges: 0,
  };
}

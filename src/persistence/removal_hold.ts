/**
 * Keeps files in the data folder that are no longer needed, for as long as somebody copies the folder: what
 * the database referred to a moment ago is still there.
 */
export class RemovalHold {
  #holders = 0;
  #released = Promise.withResolvers<void>();

  constructor() {
    this.#released.resolve();
  }

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  /** Resolves when files may be removed. */
  get released(): Promise<void> {
    return this.#released.promise;
  }

  /** Begins a hold; the returned function ends it. */
  hold(): () => void {
    if (this.#holders++ === 0) this.#released = Promise.withResolvers();
    return () => {
      if (--this.#holders === 0) this.#released.resolve();
    };
  }
}

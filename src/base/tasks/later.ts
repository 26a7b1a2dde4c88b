/** Told once how something ended that took its time. Neither may throw. */
export interface LaterListener<T> {
  done(value: T): void;
  failed(error: unknown): void;
}

/**
 * Something that takes its time, perhaps minutes, and for which one listener waits. A promise keeps two functions, their context, a reaction and the frame of
 * the one who awaits it, and so again for each who awaits that one: of ten thousand who wait, that is all that a garbage collector ever sees.
 */
export abstract class Later<T> {
  /** Once. The listener may be told before this returns. Does not throw. */
  abstract begin(listener: LaterListener<T>): void;

  /** Begins it, for whoever may as well keep a promise. */
  promise(): Promise<T> {
    return new Promise((resolve, reject) => this.begin({ done: resolve, failed: reject }));
  }
}

export function promiseOf<T>(given: Promise<T> | Later<T>): Promise<T> {
  return given instanceof Later ? given.promise() : given;
}

/** The same for both. */
export function listenTo<T>(given: Promise<T> | Later<T>, listener: LaterListener<T>): void {
  if (given instanceof Later) given.begin(listener);
  else
    given.then(
      (value) => listener.done(value),
      (error: unknown) => listener.failed(error),
    );
}

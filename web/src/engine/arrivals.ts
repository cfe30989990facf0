// Things that are on their way to whoever wants them.

export class Arrivals<T> {
  private readonly coming = new Map<string, { promise: Promise<T>; put: (thing: T) => void }>();

  expect(name: string): Promise<T> {
    let put!: (thing: T) => void;
    const promise = new Promise<T>((resolve) => (put = resolve));
    this.coming.set(name, { promise, put });
    return promise;
  }

  put(name: string, thing: T): void {
    this.coming.get(name)?.put(thing);
  }

  /** What was expected under a name, once: whoever wants it again gets it elsewhere. */
  take(name: string): Promise<T> | null {
    const found = this.coming.get(name);
    found?.promise.then(() => this.coming.delete(name));
    return found?.promise ?? null;
  }
}

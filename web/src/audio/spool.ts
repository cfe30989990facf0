// Sound that waits in the browser's blobs, to be heard more than once.

import { Parts } from "./parts";

type Sides = [Float32Array, Float32Array];

export class Spool {
  private readonly parts = new Parts();
  /** Samples of each block, by part. */
  private readonly lengths: number[][] = [];

  add([left, right]: Sides): void {
    const values = new Float32Array(2 * left.length);
    values.set(left);
    values.set(right, left.length);
    const { part } = this.parts.add(values.buffer);
    (this.lengths[part] ??= []).push(left.length);
  }

  /** Nothing follows: all that was added, block by block, as often as it is wanted. */
  finish(): () => AsyncGenerator<Sides> {
    const blobs = this.parts.finish();
    const { lengths } = this;
    return async function* () {
      for (const [part, blob] of blobs.entries()) {
        const values = new Float32Array(await blob.arrayBuffer());
        let at = 0;
        for (const n of lengths[part]) {
          yield [values.subarray(at, at + n), values.subarray(at + n, at + 2 * n)];
          at += 2 * n;
        }
      }
    };
  }
}

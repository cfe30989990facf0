// The ring between the worker, which writes, and the worklet, which reads: stereo samples at absolute
// positions, so that what has not been heard yet can be written over. Shared memory where the page is
// isolated; otherwise each side has a ring of its own, and messages carry the writes.

export const RING_SIZE = 1 << 19; // samples of each side, a power of two: 10 s at 48 kHz
/** `rate`: of the samples from `turn` on, in Hz. */
export const HEADER = {
  read: 0,
  written: 1,
  playing: 2,
  final: 3,
  underruns: 4,
  rate: 5,
  turn: 6,
} as const;
const HEADER_BYTES = 64;

export interface Ring {
  header: Int32Array;
  left: Float32Array;
  right: Float32Array;
}

export function newRing(shared: boolean): ArrayBufferLike {
  const bytes = HEADER_BYTES + 2 * 4 * RING_SIZE;
  return shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
}

export function openRing(buffer: ArrayBufferLike): Ring {
  return {
    header: new Int32Array(buffer, 0, HEADER_BYTES / 4),
    left: new Float32Array(buffer, HEADER_BYTES, RING_SIZE),
    right: new Float32Array(buffer, HEADER_BYTES + 4 * RING_SIZE, RING_SIZE),
  };
}

/** Copy samples to their places. */
export function writeRing(ring: Ring, at: number, left: Float32Array, right: Float32Array): void {
  const start = at & (RING_SIZE - 1);
  const n = Math.min(left.length, RING_SIZE - start);
  ring.left.set(left.subarray(0, n), start);
  ring.right.set(right.subarray(0, n), start);
  ring.left.set(left.subarray(n), 0);
  ring.right.set(right.subarray(n), 0);
}

/** From the worker to a worklet without shared memory. */
export type ToWorklet =
  | { kind: "samples"; at: number; left: Float32Array; right: Float32Array }
  | {
      kind: "header";
      written: number;
      playing: boolean;
      final: boolean;
      rate: number;
      turn: number;
    };

/** From such a worklet to the worker. */
export interface FromWorklet {
  read: number;
  underruns: number;
}

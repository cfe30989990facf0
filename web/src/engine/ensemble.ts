// Tracks that are computed side by side. Arrays hold a row for each of them; when tracks come or go, rows
// are put together anew.

import type { PianoRoll } from "../score/roll";

export interface Ensemble {
  /** The tracks' numbers in the score. */
  readonly tracks: readonly number[];
  readonly rolls: readonly PianoRoll[];
}

/** Rows of so many numbers, counted through all arrays. */
export function pickedRows(
  arrays: Float32Array[],
  size: number,
  rows: readonly number[],
): Float32Array {
  const all = arrays.flatMap((array) =>
    Array.from({ length: array.length / size }, (_, i) => array.subarray(i * size, (i + 1) * size)),
  );
  const out = new Float32Array(rows.length * size);
  rows.forEach((row, i) => out.set(all[row], i * size));
  return out;
}

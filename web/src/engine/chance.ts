// Random numbers that depend on where they are used, as src/timbrel/vocoder/chance.py has them.

/** Scatter 32-bit numbers over all 32-bit numbers, one to one (Wellons' hash "lowbias32"). */
export function scattered(number: number): number {
  let x = number >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  x ^= x >>> 16;
  return x >>> 0;
}

/** A 32-bit number as one from 0 to below 1, of which 24 bits count. */
export function unitInterval(number: number): number {
  return (number >>> 8) * 2 ** -24;
}

/** Phases in cycles, (tracks, frames, bins); `tracks` are their numbers. */
export function phases(
  seed: number,
  tracks: readonly number[],
  start: number,
  nFrames: number,
  nBins: number,
): Float32Array {
  const found = new Float32Array(tracks.length * nFrames * nBins);
  const seedKey = scattered(seed);
  let at = 0;
  for (const track of tracks) {
    const voice = scattered(track ^ seedKey);
    for (let k = 0; k < nFrames; k++) {
      const key = scattered(voice ^ (start + k));
      for (let bin = 0; bin < nBins; bin++) {
        found[at++] = unitInterval(scattered(key + Math.imul(bin, 0x9e3779b9)));
      }
    }
  }
  return found;
}

// What the pictures may cost, chosen by how fast this computer computes the first hops of a piece.

export interface Quality {
  light: boolean;
  /** Milliseconds between two pictures of the roll and the spectrum. */
  frameMs: number;
  /** Seconds of sound that are computed ahead at least. */
  aheadS: number;
}

export const FULL: Quality = { light: false, frameMs: 30, aheadS: 0.5 };
/** Few pictures, no previews while it plays, and a larger reserve: the sound has the first claim. */
export const LIGHT: Quality = { light: true, frameMs: 120, aheadS: 1 };

const LIGHT_ABOVE = 0.5; // of real time, for computing; pictures take their share beside that

/** Of the first hops' computing times, as shares of the time for which they sound. */
export function chooseQuality(shares: number[]): Quality {
  const sorted = [...shares].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] > LIGHT_ABOVE ? LIGHT : FULL;
}

// How fast this computer computes a piece: what the pictures may cost, and whether it is too slow.

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
const FULL_BELOW = 0.25; // with few pictures: the others must not bring it back at once
const WARM_UP_HOPS = 2; // code is compiled, caches are filled
const MEASURED_HOPS = 3; // with the warm-up, as many as are computed before anyone presses Play

/**
 * Judges a piece by its first hops after a warm-up. While it finds the computer slow it goes on
 * measuring, so that a busy moment does not last.
 */
export class QualityMeter {
  private hops = 0;
  private shares: number[] = [];
  private quality: Quality | null = null;

  /** A hop's computing time, as a share of the time for which it sounds; gives what is new. */
  add(share: number): Quality | null {
    if (this.quality === FULL || this.hops++ < WARM_UP_HOPS) return null;
    this.shares.push(share);
    if (this.shares.length < MEASURED_HOPS) return null;
    const [, median] = this.shares.sort((a, b) => a - b);
    this.shares = [];
    const before = this.quality;
    const limit = before === LIGHT ? FULL_BELOW : LIGHT_ABOVE;
    this.quality = median > limit ? LIGHT : FULL;
    return this.quality === before ? null : this.quality;
  }
}

const TOO_MUCH_ABOVE = 0.95; // of real time
const ENOUGH_BELOW = 0.8;
const FIRST_HOPS = 5; // as many are computed before anyone presses Play
const LATER_S = 3.2; // of sound: a busy moment is no reason for a warning

/** Judges whether a piece takes longer to compute than to play, by the median of some hops. */
export class LoadMeter {
  tooMuch = false;
  /** Whether that has been found out. */
  known = false;
  private shares: number[] = [];
  private needed = FIRST_HOPS;

  /** Something else is computed from now on: what was found holds until more is known. */
  restart(): void {
    this.shares = [];
    this.needed = FIRST_HOPS;
    this.known = false;
  }

  /** A hop's computing time, as a share of the time for which it sounds. */
  add(share: number, hopS: number): void {
    this.shares.push(share);
    if (this.shares.length < this.needed) return;
    const median = this.shares.sort((a, b) => a - b)[this.needed >> 1];
    this.tooMuch = median > (this.tooMuch ? ENOUGH_BELOW : TOO_MUCH_ABOVE);
    this.shares = [];
    this.known = true;
    this.needed = Math.max(Math.round(LATER_S / hopS), FIRST_HOPS);
  }
}

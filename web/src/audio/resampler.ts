// Windowed-sinc interpolation from the model's sample rate to the device's, without allocations.

const TAPS = 32;
const PHASES = 256;

export class Resampler {
  /** Input samples for an output sample. */
  readonly ratio: number;
  /** Input samples that are looked at before and after a position. */
  readonly reach = TAPS / 2;
  private readonly table = new Float32Array((PHASES + 1) * TAPS);

  constructor(inputRate: number, outputRate: number) {
    this.ratio = inputRate / outputRate;
    // Where the output's rate is the lower one, what it cannot hold is taken away.
    const cutoff = Math.min(1, outputRate / inputRate);
    for (let phase = 0; phase <= PHASES; phase++) {
      let sum = 0;
      for (let tap = 0; tap < TAPS; tap++) {
        const x = tap - this.reach + 1 - phase / PHASES;
        const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / this.reach);
        const value = Math.abs(x) >= this.reach ? 0 : window * sinc(cutoff * x);
        this.table[phase * TAPS + tap] = value;
        sum += value;
      }
      for (let tap = 0; tap < TAPS; tap++) this.table[phase * TAPS + tap] /= sum;
    }
  }

  /** The value at `position` + `fraction` (0 ≤ fraction < 1) of a ring whose size is a power of two. */
  at(ring: Float32Array, position: number, fraction: number): number {
    const mask = ring.length - 1;
    const exact = fraction * PHASES;
    const phase = Math.floor(exact);
    const share = exact - phase;
    const row = phase * TAPS;
    let value = 0;
    for (let tap = 0; tap < TAPS; tap++) {
      const low = this.table[row + tap];
      const weight = low + share * (this.table[row + TAPS + tap] - low);
      value += weight * ring[(position - this.reach + 1 + tap) & mask];
    }
    return value;
  }
}

export function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

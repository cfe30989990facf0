// The pitches of a track's notes over time: bends, tuning and vibrato, as src/timbrel/score/pitch.py has
// them.

import constants from "../constants.json";
import { constant, placeIn, valueAt, type Automation, type Track } from "./score";

export const SMALLEST_PART = 1e-6; // of a step: what lacks less than that is a whole one

/**
 * When a synthesizer acts on what it is told. Messages count from the next multiple of `clockS` on,
 * then from the next of `gridS`, and are heard `delayS` later.
 */
export interface Timing {
  gridS: number;
  clockS: number;
  delayS: number;
}

/** When a message of some time is heard. */
export function acted(time: number, { gridS, clockS, delayS }: Timing): number {
  for (const step of [clockS, gridS]) {
    if (step) time = Math.ceil(time / step - SMALLEST_PART) * step;
  }
  return time + delayS;
}

/** The pitches of a track over time, relative to those that its notes are written with. */
export class Pitches {
  readonly isBent: boolean;
  readonly hasVibrato: boolean;
  private readonly elapsedBefore: Float64Array; // at each step of the shifts
  private readonly ratios: Float64Array; // of frequencies

  private constructor(
    private readonly shifts: Automation,
    private readonly depths: Automation,
    private readonly vibrato: { hz: number; delayS: number },
  ) {
    this.isBent = shifts.values.some((value) => value !== 0);
    this.hasVibrato = vibrato.hz > 0 && depths.values.some((value) => value !== 0);
    this.ratios = Float64Array.from(shifts.values, (shift) => 2 ** (shift / 12));
    this.elapsedBefore = new Float64Array(shifts.times.length);
    for (let i = 1; i < shifts.times.length; i++) {
      const passed = (shifts.times[i] - shifts.times[i - 1]) * this.ratios[i - 1];
      this.elapsedBefore[i] = this.elapsedBefore[i - 1] + passed;
    }
  }

  static of({
    bend,
    tuning,
    vibrato,
    program,
  }: Pick<Track, "bend" | "tuning" | "vibrato" | "program">): Pitches {
    const times = [...new Set([...bend.times, ...tuning.times])].sort((a, b) => a - b);
    const values = times.map((time) => valueAt(bend, time) + valueAt(tuning, time));
    const changes = (i: number) => i === 0 || values[i] !== values[i - 1];
    const shifts = {
      times: times.filter((_, i) => changes(i)),
      values: values.filter((_, i) => changes(i)),
    };
    const [hz, delayS] = constants.vibratos[program];
    return new Pitches(shifts, vibrato, { hz, delayS });
  }

  /** The same as they are heard. */
  heard(timing: Timing): Pitches {
    const moved = ({ times, values }: Automation) => ({
      times: times.map((time) => acted(time, timing)),
      values,
    });
    return new Pitches(moved(this.shifts), moved(this.depths), this.vibrato);
  }

  /** How far a note that began at `onset` is from its pitch, in semitones. */
  shift(time: number, onset: number): number {
    const shift = valueAt(this.shifts, time);
    if (!this.hasVibrato) return shift;
    const cycles = (time - onset - this.vibrato.delayS) * this.vibrato.hz;
    return shift + valueAt(this.depths, time) * (cycles > 0 ? triangle(cycles) : 0);
  }

  /** Whether there is vibrato in a span of time. */
  sways(start: number, stop: number): boolean {
    const { times, values } = this.depths;
    const first = placeIn(this.depths, start);
    return values.some((value, i) => value !== 0 && i >= first && times[i] < stop);
  }

  /** The integral of the ratio of frequencies, 2^(shift / 12), since time 0: in seconds. */
  elapsed(time: number): number {
    const i = placeIn(this.shifts, time);
    return this.elapsedBefore[i] + (time - this.shifts.times[i]) * this.ratios[i];
  }
}

const nothing = constant(0);
export const AS_WRITTEN = Pitches.of({
  bend: nothing,
  tuning: nothing,
  vibrato: nothing,
  program: 0,
});

/** Rises from 0 to 1 in a quarter of a cycle. */
function triangle(cycles: number): number {
  const moved = cycles + 0.25;
  return 1 - Math.abs(4 * (moved - Math.floor(moved)) - 2);
}

// Pulse trains of notes that are bent, as src/timbrel/vocoder/bent_excitation.py makes them.

import constants from "../constants.json";
import type { PerformanceRoll } from "../score/performance_roll";
import { acted, Pitches, SMALLEST_PART, type Timing } from "../score/pitch";
import type { Note } from "../score/score";
import {
  emptyNotes,
  firstSample,
  fraction,
  hzOf,
  ringingIn,
  setGain,
  silentFrom,
  type NoteFrames,
  type NoteSource,
} from "./excitation";

const { bandShare } = constants;

/** Seconds since a note's onset, passing as fast as it is bent, at each step of the grid. */
type Swayed = Float64Array;

export class BentExcitation implements NoteSource {
  private readonly notes: readonly Note[];
  private readonly pitches: Pitches;
  private readonly onsets: Float64Array; // when they are heard, in seconds
  private readonly releases: Float64Array;
  private readonly silentFrom: Float64Array;
  private readonly onsetElapsed: Float64Array;
  private readonly swayed = new Map<number, Swayed | null>(); // null without vibrato

  constructor(
    roll: PerformanceRoll,
    private readonly sampleRate: number,
    private readonly hopLength: number,
    private readonly timing: Timing,
  ) {
    const { notes } = roll;
    this.notes = notes;
    this.pitches = roll.pitches.heard(timing);
    this.onsets = Float64Array.from(notes, (note) => acted(note.start, timing));
    this.releases = Float64Array.from(notes, (note) => acted(note.end, timing));
    this.silentFrom = silentFrom(notes).map((time) => time + timing.delayS);
    this.onsetElapsed = this.onsets.map((time) => this.pitches.elapsed(time));
  }

  frames(start: number, stop: number): NoteFrames {
    const { sampleRate, hopLength } = this;
    const frameRate = sampleRate / hopLength;
    const ringing = ringingIn(start / frameRate, stop / frameRate, this.onsets, this.silentFrom);
    const nFrames = stop - start;
    const found = emptyNotes(ringing.length, nFrames, nFrames);
    ringing.forEach((index, row) => {
      const note = this.notes[index];
      const hz = hzOf(note);
      let cycles = hz * this.elapsed(index, start / frameRate);
      for (let k = 0; k < nFrames; k++) {
        const time = (start + k) / frameRate;
        const age = time - this.onsets[index];
        const at = row * nFrames + k;
        const next = hz * this.elapsed(index, (start + k + 1) / frameRate);
        const step = (next - cycles) / hopLength;
        const harmonics = Math.floor(bandShare / 2 / step);
        found.phase[at] = fraction(cycles);
        found.step[at] = step;
        found.harmonics[at] = Math.max(harmonics, 1);
        found.first[at] = firstSample(age, sampleRate, hopLength);
        cycles = next;
        // What is bent above the band is not heard.
        if (harmonics <= 0 || found.first[at] >= hopLength || time >= this.silentFrom[index]) {
          continue;
        }
        setGain(found.gain, at, note.velocity / 127, age, time - this.releases[index]);
      }
    });
    return found;
  }

  /** Seconds since a note's onset, passing as fast as it is bent. */
  private elapsed(index: number, time: number): number {
    const age = time - this.onsets[index];
    const swayed = age >= 0 && this.pitches.hasVibrato ? this.withVibrato(index) : null;
    if (!swayed) return this.pitches.elapsed(time) - this.onsetElapsed[index];
    const { gridS } = this.timing;
    const last = swayed.length - 1;
    const over = age - last * gridS; // when nothing is heard any more
    if (over >= 0) return swayed[last] + over;
    const step = Math.min(Math.floor(age / gridS), last - 1);
    const slope = (swayed[step + 1] - swayed[step]) / gridS;
    return swayed[step] + slope * (age - step * gridS);
  }

  private withVibrato(index: number): Swayed | null {
    let found = this.swayed.get(index);
    if (found === undefined) this.swayed.set(index, (found = this.sway(index)));
    return found;
  }

  private sway(index: number): Swayed | null {
    const [onset, end] = [this.onsets[index], this.silentFrom[index]];
    if (!this.pitches.sways(onset, end)) return null;
    const { gridS } = this.timing;
    const found = new Float64Array(Math.ceil((end - onset) / gridS) + 2);
    for (let i = 1; i < found.length; i++) {
      // Within the steps, so that what changes at their edges counts.
      const time = onset + (i - 1 + SMALLEST_PART) * gridS;
      found[i] = found[i - 1] + gridS * 2 ** (this.pitches.shift(time, onset) / 12);
    }
    return found;
  }
}

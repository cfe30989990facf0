// Notes and the stretches of frames in which they are heard, as src/timbrel/score/sounding.py has them.

import constants from "../constants.json";
import type { PerformanceRoll } from "./performance_roll";
import { pitchOf } from "./score";

const { noteBeforeS, noteRingS } = constants;
export const NUMBERS_OF_NOTE = 4;
const LONG_BEFORE_S = 1e3; // that a note is released which is still held on a keyboard

export interface SoundingNotes {
  /** Struck key, sounding pitch, velocity, 1 in a kit: `NUMBERS_OF_NOTE`. */
  readonly notes: readonly Float32Array[];
  /** The frame in which each note is first told, counted from the first one. */
  readonly firstFrames: readonly number[];
  /** Of which note each row is, and in which stretch it is heard. */
  readonly ofNote: readonly number[];
  readonly stretches: readonly number[];
  /** Of each row and frame, the time since the note's onset and since its release. */
  readonly timesS: Float32Array;
}

/**
 * The notes that are heard from frame `start` to frame `stop`.
 *
 * @param last notes that begin in this frame or later are not known yet
 * @param stretch frames of one
 * @param toldAnew whether notes are told anew in each stretch, as when the timbre moves
 */
export function soundingNotes(
  roll: PerformanceRoll,
  start: number,
  stop: number,
  last: number,
  stretch: number,
  toldAnew: boolean,
): SoundingNotes {
  const { frameRate, isKit, pitches } = roll;
  const notes: Float32Array[] = [];
  const firstFrames: number[] = [];
  const ofNote: number[] = [];
  const stretches: number[] = [];
  const times: number[] = [];
  for (const note of roll.heardBetween(start, stop, last, noteBeforeS, noteRingS)) {
    const pitch = pitchOf(note);
    const key = Math.min(Math.max(Math.floor(pitch + 0.5), 0), 127);
    const places = new Map<number, number>(); // of what was told of it, by how far it is bent
    for (let first = start; first < stop; first += stretch) {
      const [from, to] = [first / frameRate, (first + stretch - 1) / frameRate];
      if (to < note.start - noteBeforeS || from >= note.end + noteRingS) continue;
      const shift = pitches.shift((first + stretch / 2) / frameRate, note.start);
      let place = toldAnew ? undefined : places.get(shift);
      if (place === undefined) {
        place = notes.length;
        places.set(shift, place);
        notes.push(Float32Array.of(key, pitch + shift, note.velocity, Number(isKit)));
        firstFrames.push(first - start);
      }
      ofNote.push(place);
      stretches.push((first - start) / stretch);
      for (let frame = first; frame < first + stretch; frame++) {
        const now = frame / frameRate;
        times.push(now - note.start, Math.max(now - note.end, -LONG_BEFORE_S));
      }
    }
  }
  return { notes, firstFrames, ofNote, stretches, timesS: Float32Array.from(times) };
}

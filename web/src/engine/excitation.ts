// What the notes of a roll do, frame by frame, as src/timbrel/vocoder/excitation.py says it to the
// vocoder; in double precision up to the last step.

import constants from "../constants.json";
import type { PianoRoll } from "../score/roll";
import type { Note } from "../score/score";

const { silentAfterS, bandShare, a4Hz } = constants;
// Reciprocal seconds in which a note falls by e: while it is held, and when it is released.
const FALLS = constants.envelopes.map((pair) => pair.map((s) => (s === null ? 0 : 1 / s)));

/** The notes that ring in a span of frames; (notes, frames) but for what has its shape beside it. */
export interface NoteFrames {
  nNotes: number;
  phase: Float32Array;
  step: Float32Array; // (notes,)
  harmonics: Float32Array; // (notes,)
  gain: Float32Array; // (notes, frames, envelopes)
  first: Float32Array;
}

export const N_ENVELOPES = FALLS.length;

export class Excitation {
  private readonly notes: Note[];
  private readonly onsets: Float64Array; // in seconds, on the grid
  private readonly silentFrom: Float64Array;

  constructor(
    roll: PianoRoll,
    private readonly sampleRate: number,
    private readonly hopLength: number,
    onsetGridS: number,
  ) {
    this.notes = roll.notes;
    this.onsets = Float64Array.from(
      roll.notes,
      (note) => Math.ceil(note.start / onsetGridS - 1e-6) * onsetGridS,
    );
    this.silentFrom = silentFrom(roll.notes);
  }

  frames(start: number, stop: number): NoteFrames {
    const frameRate = this.sampleRate / this.hopLength;
    const ringing: number[] = [];
    for (let i = 0; i < this.notes.length && this.onsets[i] < stop / frameRate; i++) {
      if (this.silentFrom[i] > start / frameRate) ringing.push(i);
    }
    const nFrames = stop - start;
    const found = emptyNotes(ringing.length, nFrames);
    ringing.forEach((index, row) => {
      const note = this.notes[index];
      const hz = a4Hz * 2 ** ((note.pitch - 69) / 12);
      found.step[row] = hz / this.sampleRate;
      found.harmonics[row] = Math.floor((bandShare * this.sampleRate) / 2 / hz);
      for (let k = 0; k < nFrames; k++) {
        const time = (start + k) / frameRate;
        const age = time - this.onsets[index];
        const at = row * nFrames + k;
        const cycles = age * hz;
        found.phase[at] = cycles - Math.floor(cycles);
        found.first[at] = Math.min(
          Math.max(Math.ceil(-age * this.sampleRate - 1e-6), 0),
          this.hopLength,
        );
        if (found.first[at] >= this.hopLength || time >= this.silentFrom[index]) continue;
        const held = Math.max(age, 0);
        const released = Math.max(time - note.end, 0);
        FALLS.forEach(([decay, release], e) => {
          found.gain[at * N_ENVELOPES + e] =
            (note.velocity / 127) * Math.exp(-(held * decay + released * release));
        });
      }
    });
    return found;
  }
}

/** The notes of some tracks, (tracks, notes, …), with silent ones where one has fewer. */
export function stackNotes(tracks: NoteFrames[], nFrames: number): NoteFrames {
  const nNotes = Math.max(1, ...tracks.map((track) => track.nNotes));
  const stacked = emptyNotes(tracks.length * nNotes, nFrames);
  // A silent note's harmonics are divided by, so there must be one.
  stacked.harmonics.fill(1);
  tracks.forEach((track, i) => {
    const row = i * nNotes;
    stacked.phase.set(track.phase, row * nFrames);
    stacked.first.set(track.first, row * nFrames);
    stacked.gain.set(track.gain, row * nFrames * N_ENVELOPES);
    stacked.step.set(track.step, row);
    stacked.harmonics.set(track.harmonics, row);
  });
  return { ...stacked, nNotes };
}

function emptyNotes(nNotes: number, nFrames: number): NoteFrames {
  return {
    nNotes,
    phase: new Float32Array(nNotes * nFrames),
    step: new Float32Array(nNotes),
    harmonics: new Float32Array(nNotes),
    gain: new Float32Array(nNotes * nFrames * N_ENVELOPES),
    first: new Float32Array(nNotes * nFrames),
  };
}

/** When each note is left out: some time after its release, or when its key is struck again. */
function silentFrom(notes: Note[]): Float64Array {
  const ends = Float64Array.from(notes, (note) => note.end + silentAfterS);
  const following = new Map<number, number>();
  for (let i = notes.length - 1; i >= 0; i--) {
    const { pitch, start, end } = notes[i];
    // A note that is still held goes on beside its repetition: two hands share the key.
    ends[i] = Math.max(end, Math.min(ends[i], following.get(pitch) ?? Infinity));
    following.set(pitch, start);
  }
  return ends;
}

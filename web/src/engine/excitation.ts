// What the notes of a roll do, frame by frame, as src/timbrel/vocoder/excitation.py says it to the
// vocoder; in double precision up to the last step.

import constants from "../constants.json";
import type { PianoRoll } from "../score/roll";
import { pitchOf, type Note } from "../score/score";

const { silentAfterS, bandShare, a4Hz } = constants;
// Reciprocal seconds in which a note falls by e: while it is held, and when it is released.
const FALLS = constants.envelopes.map((pair) => pair.map((s) => (s === null ? 0 : 1 / s)));

/** The notes that ring in a span of frames; (notes, frames) but for what has its shape beside it. */
export interface NoteFrames {
  nNotes: number;
  phase: Float32Array;
  step: Float32Array; // (notes, steps), where steps are 1 or the frames
  harmonics: Float32Array; // (notes, steps)
  gain: Float32Array; // (notes, frames, envelopes)
  first: Float32Array;
}

export const N_ENVELOPES = FALLS.length;

/** What gives the notes' frames. */
export interface NoteSource {
  frames(start: number, stop: number): NoteFrames;
}

export class Excitation implements NoteSource {
  private readonly notes: readonly Note[];
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
    const ringing = ringingIn(start / frameRate, stop / frameRate, this.onsets, this.silentFrom);
    const nFrames = stop - start;
    const found = emptyNotes(ringing.length, nFrames, 1);
    ringing.forEach((index, row) => {
      const note = this.notes[index];
      const hz = hzOf(note);
      found.step[row] = hz / this.sampleRate;
      found.harmonics[row] = Math.floor((bandShare * this.sampleRate) / 2 / hz);
      for (let k = 0; k < nFrames; k++) {
        const time = (start + k) / frameRate;
        const age = time - this.onsets[index];
        const at = row * nFrames + k;
        found.phase[at] = fraction(age * hz);
        found.first[at] = firstSample(age, this.sampleRate, this.hopLength);
        if (found.first[at] >= this.hopLength || time >= this.silentFrom[index]) continue;
        setGain(found.gain, at, note.velocity / 127, age, time - note.end);
      }
    });
    return found;
  }
}

/** Which notes ring in a span of time; onsets are in order. */
export function ringingIn(
  start: number,
  stop: number,
  onsets: Float64Array,
  silentFrom: Float64Array,
): number[] {
  const ringing: number[] = [];
  for (let i = 0; i < onsets.length && onsets[i] < stop; i++) {
    if (silentFrom[i] > start) ringing.push(i);
  }
  return ringing;
}

export function hzOf(note: Note): number {
  return a4Hz * 2 ** ((pitchOf(note) - 69) / 12);
}

/** The part of cycles that is left of whole ones. */
export function fraction(cycles: number): number {
  return cycles - Math.floor(cycles);
}

/** The first sample of a frame in which a note sounds that has some age at its beginning. */
export function firstSample(age: number, sampleRate: number, hopLength: number): number {
  return Math.min(Math.max(Math.ceil(-age * sampleRate - 1e-6), 0), hopLength);
}

/** The amplitudes of a note in a frame, in each envelope. */
export function setGain(
  gain: Float32Array,
  at: number,
  level: number,
  age: number,
  released: number,
): void {
  const [held, since] = [Math.max(age, 0), Math.max(released, 0)];
  FALLS.forEach(([decay, release], e) => {
    gain[at * N_ENVELOPES + e] = level * Math.exp(-(held * decay + since * release));
  });
}

/** The notes of some tracks, (tracks, notes, …), with silent ones where one has fewer. */
export function stackNotes(tracks: NoteFrames[], nFrames: number, nSteps: number): NoteFrames {
  const nNotes = Math.max(1, ...tracks.map((track) => track.nNotes));
  const stacked = emptyNotes(tracks.length * nNotes, nFrames, nSteps);
  // A silent note's harmonics are divided by, so there must be one.
  stacked.harmonics.fill(1);
  tracks.forEach((track, i) => {
    const row = i * nNotes;
    stacked.phase.set(track.phase, row * nFrames);
    stacked.first.set(track.first, row * nFrames);
    stacked.gain.set(track.gain, row * nFrames * N_ENVELOPES);
    stacked.step.set(track.step, row * nSteps);
    stacked.harmonics.set(track.harmonics, row * nSteps);
  });
  return { ...stacked, nNotes };
}

export function emptyNotes(nNotes: number, nFrames: number, nSteps: number): NoteFrames {
  return {
    nNotes,
    phase: new Float32Array(nNotes * nFrames),
    step: new Float32Array(nNotes * nSteps),
    harmonics: new Float32Array(nNotes * nSteps),
    gain: new Float32Array(nNotes * nFrames * N_ENVELOPES),
    first: new Float32Array(nNotes * nFrames),
  };
}

/** When each note is left out: some time after its release, or when its key is struck again. */
export function silentFrom(notes: readonly Note[]): Float64Array {
  const ends = Float64Array.from(notes, (note) => note.end + silentAfterS);
  const following = new Map<number, number>();
  for (let i = notes.length - 1; i >= 0; i--) {
    const { start, end } = notes[i];
    const pitch = pitchOf(notes[i]);
    // A note that is still held goes on beside its repetition: two hands share the key.
    ends[i] = Math.max(end, Math.min(ends[i], following.get(pitch) ?? Infinity));
    following.set(pitch, start);
  }
  return ends;
}

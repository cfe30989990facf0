// What a player plays from: sound hop by hop from any place on, computed now or beforehand.

import type { Point, Timbre } from "../timbre/timbre";

/** What is played: one timbre for each track, whether the track is heard, and whether without a room. */
export interface Playing {
  timbres: Timbre[];
  heard: boolean[];
  dry: boolean;
}

/** Where a source goes on; a value that is never altered. */
export interface Place {
  /** The next frame of mel. */
  readonly frame: number;
}

export interface Step<P extends Place = Place> {
  /** Sample of the score that `mix` begins with. */
  at: number;
  mix: [Float32Array, Float32Array];
  /** (hop, n_mels): in each band the loudest track's. */
  mel: Float32Array;
  frame: number;
  /** Tracks that were computed. */
  nTracks: number;
  /** Of these, tracks that rest, which took no time. */
  nAsleep: number;
  /** Where each track's timbre is. Those that stay are one array, which all steps share. */
  points: readonly Point[];
  next: P;
}

export interface Source<P extends Place = Place> {
  /** Whether steps are computed when they are asked for, which takes time. */
  readonly computes: boolean;
  /** Frames of a step. */
  readonly hop: number;
  readonly nFrames: number;
  readonly nSamples: number;
  /** Samples a second, and in a frame. */
  readonly sampleRate: number;
  readonly hopLength: number;
  /** Whether the step of a place can be given at once; where it is missing, all can. */
  has?(place: Place): boolean;
  /** From `frame` on, which must be aligned; steps give sound from there on. */
  start(frame: number, playing: Playing): Promise<P>;
  /** The same place, with the tracks that are heard now. */
  regrouped(before: P, playing: Playing): Promise<P>;
  /** One hop. Sound before frame `from` is left out. */
  step(before: P, playing: Playing, from: number): Promise<Step<P>>;
}

/** The frame where a hop begins. */
export function aligned(frame: number, hop: number): number {
  return Math.floor(Math.max(frame, 0) / hop) * hop;
}

// A score: what is played, by which instruments, when, and how loud in the mix.

import constants from "../constants.json";

/** One sounding note; times in seconds. */
export interface Note {
  pitch: number;
  velocity: number;
  start: number;
  end: number;
  /** Semitones above its pitch, by its channel's scale tuning. */
  detune: number;
}

/** A stepwise curve: a value holds from its time until the next one. */
export interface Automation {
  times: number[];
  values: number[];
}

export interface Track {
  name: string;
  program: number;
  channel: number;
  notes: Note[];
  gain: Automation;
  /** Without it, `placement` finds a place. */
  pan: Automation | null;
  /** That place, in a room. */
  seat?: Automation;
  /** What is sent to the effects of the room, 0–1 of the track’s amplitude. */
  reverb: Automation;
  chorus: Automation;
  /** Channels of one number on two ports are two channels. */
  port: number;
  /** Whether it is a drum kit: its pitches are keys of the kit, 0–127, its program is the kit. */
  isKit: boolean;
  /** In semitones, and not part of the notes' pitches, which are whole. */
  bend: Automation;
  tuning: Automation;
  /** Depth to either side, in semitones. */
  vibrato: Automation;
}

export type Unplayable = keyof typeof constants.unplayable;

export interface Score {
  tracks: Track[];
  pedalEvents: number;
  /** Messages or notes that cannot be played. */
  unplayable: Partial<Record<Unplayable, number>>;
  /** What drums play; not all models do. */
  drumTracks: Track[];
  /** What of a damaged file could not be read, in words. */
  warnings: string[];
}

/** A track of neutral volume, in the middle. */
export function plainTrack(name: string, notes: Note[] = []): Track {
  return {
    name,
    program: 0,
    channel: 0,
    notes,
    gain: constant(1),
    pan: constant(0),
    reverb: constant(constants.defaultReverbSend),
    chorus: constant(0),
    port: 0,
    isKit: false,
    bend: constant(0),
    tuning: constant(0),
    vibrato: constant(0),
  };
}

/** Where a note sounds without bends, tuning and vibrato. */
export function pitchOf({ pitch, detune }: Note): number {
  return pitch + detune;
}

/** Notes by start, end, pitch and velocity. */
export function inOrder(notes: readonly Note[]): Note[] {
  return [...notes].sort(
    (a, b) =>
      a.start - b.start || a.end - b.end || pitchOf(a) - pitchOf(b) || a.velocity - b.velocity,
  );
}

export function constant(value: number): Automation {
  return { times: [0], values: [value] };
}

/** Which of a curve's values holds at a time; before the first time the first one does. */
export function placeIn(curve: Automation, time: number): number {
  let low = 0;
  let high = curve.times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curve.times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return Math.max(low - 1, 0);
}

export function valueAt(curve: Automation, time: number): number {
  return curve.values[placeIn(curve, time)];
}

export function duration(score: Score): number {
  let end = 0;
  for (const track of score.tracks) for (const note of track.notes) end = Math.max(end, note.end);
  return end;
}

/** What of a file could not be read, and what nobody plays, in words; empty if there is nothing. */
export function leftOut(score: Score): string {
  const counts = Object.entries(score.unplayable).map(
    ([kind, n]) => `${constants.unplayable[kind as Unplayable]} (${n})`,
  );
  const faults = score.warnings.length ? `The file has faults: ${score.warnings.join("; ")}.` : "";
  const rest = counts.length ? `Left out, as they cannot be played: ${counts.join(", ")}.` : "";
  return [faults, rest].filter(Boolean).join(" ");
}

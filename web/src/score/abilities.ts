// Which parts of a score a model can play: drum kits, bends, as src/timbrel/abilities.py.

import constants from "../constants.json";
import type { Score, Track, Unplayable } from "./score";

/** What a model can play beside notes of the 88 keys. */
export interface Abilities {
  /** Pitch bends, tuning, and vibrato by the modulation wheel. */
  bends: boolean;
  /** The keys of each kit by its program; none where it plays no drums. */
  kits: ReadonlyMap<number, ReadonlySet<number>>;
}

// What models with bends can play.
const BENDS: Unplayable[] = ["fine_tunings", "modulation", "pitch_bends"];

/**
 * The score as a model plays it: its tracks are those of melody instruments, then those of drums.
 * Notes of keys that the kit lacks are left out; what the model cannot play is counted.
 */
export function playable(score: Score, { bends, kits }: Abilities): Score {
  const unplayable = { ...score.unplayable };
  if (bends) for (const kind of BENDS) delete unplayable[kind];
  const tracks = bends ? score.tracks : score.tracks.map(asWritten);
  if (!kits.size || !score.drumTracks.length) return { ...score, tracks, unplayable };
  const drums = score.drumTracks.map((track) => onKit(track, kits));
  delete unplayable.drum_notes;
  const count = (of: Track[]) => of.reduce((sum, { notes }) => sum + notes.length, 0);
  const lacking = count(score.drumTracks) - count(drums);
  if (lacking) unplayable.notes_of_lacking_keys = lacking;
  const bent = nBends(score.drumTracks);
  if (bent) unplayable.drum_bends = bent;
  return {
    ...score,
    tracks: [...tracks, ...drums.filter(({ notes }) => notes.length)],
    unplayable: Object.fromEntries(Object.entries(unplayable).sort(([a], [b]) => (a < b ? -1 : 1))),
    drumTracks: [],
  };
}

/**
 * The kit that stands for a kit's program: itself; else the first of its eight, of which the others
 * are variations; else the standard kit, or the one with the nearest number.
 */
export function nearestKit(program: number, available: readonly number[]): number {
  const { standardKit, kitsOfAKind } = constants;
  const first = Math.floor(program / kitsOfAKind) * kitsOfAKind;
  for (const candidate of [program, first, standardKit]) {
    if (available.includes(candidate)) return candidate;
  }
  const farther = (a: number, b: number) => Math.abs(a - program) - Math.abs(b - program) || a - b;
  return available.reduce((nearest, other) => (farther(other, nearest) < 0 ? other : nearest));
}

function onKit(track: Track, kits: Abilities["kits"]): Track {
  const keys = kits.get(nearestKit(track.program, [...kits.keys()]))!;
  return { ...track, notes: track.notes.filter(({ pitch }) => keys.has(pitch)) };
}

/** A track without the detuning of its single notes. */
function asWritten(track: Track): Track {
  if (!track.notes.some(({ detune }) => detune)) return track;
  return { ...track, notes: track.notes.map((note) => ({ ...note, detune: 0 })) };
}

/** How many times drums are bent, each channel counted once. */
function nBends(tracks: readonly Track[]): number {
  const channels = new Map(tracks.map((track) => [`${track.port} ${track.channel}`, track]));
  let count = 0;
  for (const { bend, vibrato } of channels.values()) {
    for (const value of [...bend.values, ...vibrato.values]) count += Number(value !== 0);
  }
  return count;
}

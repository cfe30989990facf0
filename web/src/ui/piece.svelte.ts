// What is open: a score, a timbre for each of its tracks, and which of them are heard.

import { duration, type Score } from "../score/score";
import { constantTimbre, translated, type Point, type Timbre } from "../timbre/timbre";
import type { Instrument } from "../engine/bundle";

export const ALL_TRACKS = -1;
export const NO_NOTES: Score = {
  tracks: [],
  pedalEvents: 0,
  unplayable: {},
  drumTracks: [],
  warnings: [],
};

/** A track as it is played. Voices are never altered: a change makes others. */
export interface Voice {
  readonly timbre: Timbre;
  readonly muted: boolean;
  readonly solo: boolean;
}

/** Where a piece came from: a link can name bundled tunes only. */
export type Source = { kind: "tune"; name: string } | { kind: "file"; name: string };

export class Piece {
  source = $state.raw<Source | null>(null);
  score = $state.raw<Score>(NO_NOTES);
  voices = $state.raw<Voice[]>([]);
  /** The track that the map, the mixer and the path are about, or ALL_TRACKS. */
  selected = $state(ALL_TRACKS);
  /** The keyboard's own timbre. */
  keys = $state.raw<Timbre>(constantTimbre([0, 0]));

  duration = $derived(duration(this.score));
  title = $derived(this.source?.name ?? "");
  /** The timbre of what is selected. */
  timbre = $derived<Timbre>((this.voices[this.selected] ?? this.voices[0])?.timbre ?? this.keys);
  heard = $derived.by<boolean[]>(() => {
    const solo = this.voices.some((voice) => voice.solo);
    return this.voices.map((voice) => (solo ? voice.solo : !voice.muted));
  });

  /** @param changed tells whoever plays it that timbres or mutes are others */
  constructor(readonly changed: () => void) {}

  open(source: Source, score: Score): void {
    this.source = source;
    this.score = score;
    this.voices = [];
    this.selected = ALL_TRACKS;
  }

  /** Play the tracks in these timbres; whoever calls this tells the engine. */
  cast(timbres: Timbre[]): void {
    this.voices = timbres.map((timbre) => ({ timbre, muted: false, solo: false }));
  }

  /** The selected track's timbre, or that of all tracks and with them the keyboard's. */
  setTimbre(timbre: Timbre): void {
    if (this.voices[this.selected]) this.alter(this.selected, { timbre });
    else {
      this.voices = this.voices.map((voice) => ({ ...voice, timbre }));
      this.keys = timbre;
      this.changed();
    }
  }

  setTrackTimbre(track: number, point: Point): void {
    this.alter(track, { timbre: constantTimbre(point) });
  }

  toggleMute(track: number): void {
    this.alter(track, { muted: !this.voices[track].muted });
  }

  toggleSolo(track: number): void {
    this.alter(track, { solo: !this.voices[track].solo });
  }

  /** Keep the same mixes of instruments in the space of another model. */
  translate(from: Instrument[], to: Instrument[]): void {
    this.voices = this.voices.map((voice) => ({
      ...voice,
      timbre: translated(voice.timbre, from, to),
    }));
    this.keys = translated(this.keys, from, to);
  }

  private alter(track: number, change: Partial<Voice>): void {
    this.voices = this.voices.map((voice, i) => (i === track ? { ...voice, ...change } : voice));
    this.changed();
  }
}

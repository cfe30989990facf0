// What is open: a score, a timbre for each of its tracks, and which of them are heard.

import type { Instrument } from "../engine/bundle";
import { isKit } from "../engine/kinds";
import { playable, type Abilities } from "../score/abilities";
import { seated } from "../score/placement";
import { duration, type Score } from "../score/score";
import { nearestInstrument } from "../timbre/assignment";
import { translated } from "../timbre/mix";
import { constantTimbre, type Point, type Timbre } from "../timbre/timbre";
import { History } from "./history.svelte";

/** What may be selected beside a track: all of them, or the keyboard's own timbre. */
export const ALL_TRACKS = -1;
export const KEYBOARD = -2;
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

interface Timbres {
  readonly tracks: readonly Timbre[];
  readonly keys: Timbre;
}

/** The instrument nearest to each track's program. */
export function fileTimbres({ tracks }: Score, instruments: Instrument[]): Timbre[] {
  return tracks.map((track) => constantTimbre(nearestInstrument(track, instruments).embedding));
}

/** Whether timbres stay at the same point. */
function isSame(a: Timbre, b: Timbre): boolean {
  return a.times.length === 1 && b.times.length === 1 && String(a.points) === String(b.points);
}

export class Piece {
  source = $state.raw<Source | null>(null);
  /** What is played of the file. */
  score = $state.raw<Score>(NO_NOTES);
  private file = NO_NOTES;
  voices = $state.raw<Voice[]>([]);
  /** A track, or ALL_TRACKS or KEYBOARD: whose timbre the map, the mixer and the path shape. */
  private chosen = $state(KEYBOARD);
  /** The timbre of the keyboard while no track is selected. */
  private keys = $state.raw<Timbre>(constantTimbre([0, 0]));
  private readonly history = new History<Timbres>();
  /** Counts the pieces that were opened. */
  number = 0;

  duration = $derived(duration(this.score));
  title = $derived(this.source?.name ?? "");
  selected = $derived(this.chosen);
  /** Whether drums are selected. */
  isKit = $derived(this.score.tracks[this.chosen]?.isKit ?? false);
  canUndo = $derived(this.history.canUndo);
  canRedo = $derived(this.history.canRedo);
  /** The timbre of what is selected. */
  timbre = $derived<Timbre>(
    this.chosen === KEYBOARD
      ? this.keys
      : (this.voices[Math.max(this.chosen, 0)]?.timbre ?? this.keys),
  );
  heard = $derived.by<boolean[]>(() => {
    const solo = this.voices.some((voice) => voice.solo);
    return this.voices.map((voice) => (solo ? voice.solo : !voice.muted));
  });

  /** @param changed tells whoever plays it that timbres or mutes are others */
  constructor(readonly changed: () => void) {}

  /** Open a file, of which a model with some abilities plays what it can. */
  open(source: Source, file: Score, abilities: Abilities): void {
    const score = seated(playable(file, abilities));
    this.number++;
    this.source = source;
    this.file = file;
    this.score = score;
    this.voices = [];
    // The tracks of a song keep their instruments until one is selected.
    this.chosen = score.tracks.length === 1 ? 0 : KEYBOARD;
    this.history.clear();
  }

  /** Play the tracks in these timbres; whoever calls this tells the engine. */
  cast(timbres: Timbre[], keys = this.keys): void {
    this.voices = timbres.map((timbre) => ({ timbre, muted: false, solo: false }));
    this.keys = keys;
  }

  select(chosen: number): void {
    this.chosen = chosen;
    this.changed(); // the keyboard plays in the selected timbre
  }

  /** Give what is selected a timbre; one that goes on with the change before is undone with it. */
  setTimbre(timbre: Timbre, continues = false): void {
    const { tracks, keys } = this.timbres;
    if (this.chosen === KEYBOARD) return this.change({ tracks, keys: timbre }, continues);
    // What is meant for all tracks is a melody instrument.
    const { tracks: played } = this.score;
    const meant = (i: number) =>
      this.chosen === i || (this.chosen === ALL_TRACKS && !played[i].isKit);
    this.change({ tracks: tracks.map((old, i) => (meant(i) ? timbre : old)), keys }, continues);
  }

  setTrackTimbre(track: number, point: Point): void {
    const { tracks, keys } = this.timbres;
    this.change({ tracks: tracks.with(track, constantTimbre(point)), keys });
  }

  /** Whether the tracks have the instruments of the file. */
  isAsInFile(instruments: Instrument[]): boolean {
    const wanted = fileTimbres(this.score, instruments);
    return this.voices.every(({ timbre }, i) => isSame(timbre, wanted[i]));
  }

  setAsInFile(instruments: Instrument[]): void {
    this.change({ ...this.timbres, tracks: fileTimbres(this.score, instruments) });
  }

  undo(): void {
    this.restore(this.history.undo(this.timbres));
  }

  redo(): void {
    this.restore(this.history.redo(this.timbres));
  }

  toggleMute(track: number): void {
    const voice = this.voices[track];
    this.voices = this.voices.with(track, { ...voice, muted: !voice.muted });
    this.changed();
  }

  toggleSolo(track: number): void {
    const voice = this.voices[track];
    this.voices = this.voices.with(track, { ...voice, solo: !voice.solo });
    this.changed();
  }

  /**
   * Play the file with another model: what its instruments were stays theirs, and what was mixed is
   * mixed of the same ones.
   */
  adapt(from: Instrument[], to: Instrument[], abilities: Abilities): void {
    const before = this.voices;
    const wanted = fileTimbres(this.score, from);
    const other = (timbre: Timbre, drums: boolean) =>
      translated(timbre, from.filter((one) => isKit(one) === drums), to.filter((one) => isKit(one) === drums)); // prettier-ignore
    this.score = seated(playable(this.file, abilities));
    // Tracks of melody instruments come first, and are always the same ones.
    this.voices = before.length
      ? fileTimbres(this.score, to).map((timbre, i) => {
          const voice = before.at(i);
          if (!voice) return { timbre, muted: false, solo: false };
          const { isKit: drums } = this.score.tracks[i];
          return isSame(voice.timbre, wanted[i]) ? { ...voice, timbre } : { ...voice, timbre: other(voice.timbre, drums) }; // prettier-ignore
        })
      : [];
    this.keys = other(this.keys, false);
    if (this.chosen >= this.score.tracks.length) this.chosen = KEYBOARD;
    this.history.clear();
  }

  private get timbres(): Timbres {
    return { tracks: this.voices.map(({ timbre }) => timbre), keys: this.keys };
  }

  private change(timbres: Timbres, continues = false): void {
    this.history.remember(this.timbres, continues);
    this.restore(timbres);
  }

  private restore(timbres: Timbres | null): void {
    if (!timbres) return;
    this.assign(timbres);
    this.changed();
  }

  private assign({ tracks, keys }: Timbres): void {
    this.voices = this.voices.map((voice, i) => ({ ...voice, timbre: tracks[i] }));
    this.keys = keys;
  }
}

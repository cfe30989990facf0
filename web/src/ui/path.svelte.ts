// The timbre of what is selected, over time: one that stays, or a path that is drawn, recorded or made
// of breakpoints.

import constants from "../constants.json";
import type { Instrument } from "../engine/bundle";
import { isKit } from "../engine/kinds";
import type { Tell } from "../engine/messages";
import { asMix, mixed } from "../timbre/mix";
import {
  constantTimbre,
  drawn,
  repeated,
  thinned,
  timbreAt,
  type Point,
  type Timbre,
} from "../timbre/timbre";
import type { Space } from "../timbre/grammar";
import { inWords } from "../timbre/words";
import type { Models } from "./models.svelte";
import { KEYBOARD, type Piece } from "./piece.svelte";

/** More breakpoints than a hand can take are not shown one by one. */
export const MOST_BREAKPOINTS = 60;
const DRAWN_TOLERANCE = 0.005; // of the map's width

/** Where the listener is in the piece. */
export interface Playhead {
  readonly seconds: number;
  seek(seconds: number): void;
}

export interface NamedShare {
  name: string;
  share: number;
}

export class Path {
  recording = $state(false);
  repeat = $state(false);
  /** Whether the next stroke on the map becomes a path. */
  drawing = $state(false);
  private chosen = $state.raw<{ track: number; index: number } | null>(null);
  private recordFrom = 0;

  timbre = $derived.by<Timbre>(() => this.piece.timbre);
  /** The breakpoint that the map and the mixer move; another track has another path. */
  breakpoint = $derived.by<number | null>(() => {
    if (this.chosen?.track !== this.piece.selected) return null;
    return this.chosen.index < this.timbre.times.length ? this.chosen.index : null;
  });
  /** The point that the map and the mixer show: where the listener is. */
  point = $derived.by<Point>(() => timbreAt(this.played(this.timbre), this.playhead.seconds));
  /** The instruments that may play what is selected. */
  palette = $derived.by<Instrument[]>(() => {
    const { melodic, instruments } = this.models;
    return this.piece.isKit ? instruments.filter(isKit) : melodic;
  });
  /** What its file is read with. */
  written = $derived.by<Space>(() => ({ ...this.models.written, instruments: this.palette }));
  words = $derived.by<string>(() => {
    const { dimensions, map, space } = this.models;
    const shown = this.piece.isKit ? space : map;
    const isKnown = this.palette.length && this.point.length >= dimensions;
    return isKnown ? inWords(this.point, this.palette, shown) : "";
  });

  constructor(
    private readonly models: Models,
    private readonly piece: Piece,
    private readonly playhead: Playhead,
    private readonly tell: Tell,
    private readonly say: (words: string) => void,
  ) {}

  /** A path as it is played: again and again if that is wished. */
  played(timbre: Timbre): Timbre {
    if (!this.repeat || timbre.times.length < 2) return timbre;
    const period = timbre.times[timbre.times.length - 1];
    const end = this.piece.duration + constants.releaseS;
    return period > 0.1 ? repeated(timbre, period, end) : timbre;
  }

  /** Move the chosen breakpoint, or else the whole timbre; see `Piece.setTimbre`. */
  moveTo(point: Point, continues = false): void {
    if (this.breakpoint === null) return this.piece.setTimbre(constantTimbre(point), continues);
    const { times, points } = this.timbre;
    this.piece.setTimbre({ times, points: points.with(this.breakpoint, point) }, continues);
  }

  moveToMix(shares: NamedShare[], continues = false): void {
    const known = shares
      .map(({ name, share }) => ({
        instrument: this.palette.find((one) => one.name === name)!,
        share,
      }))
      .filter(({ share }) => share > 0);
    if (known.length) this.moveTo(mixed(known), continues);
  }

  /** Shares of instruments in the point that is shown, for the mixer. */
  mix(): NamedShare[] {
    return asMix(this.point, this.palette).shares.map(({ instrument, share }) => ({
      name: instrument.name,
      share,
    }));
  }

  addBreakpoint(): void {
    const { frameRate } = this.models;
    const time = Math.round(this.playhead.seconds * frameRate) / frameRate;
    const point = timbreAt(this.timbre, time);
    const others = this.timbre.times.map((t, i) => ({ time: t, point: this.timbre.points[i] }));
    const rest = others.filter((one) => Math.abs(one.time - time) > 1e-3);
    const all = [...rest, { time, point }].sort((a, b) => a.time - b.time);
    this.piece.setTimbre({
      times: all.map((one) => one.time),
      points: all.map((one) => one.point),
    });
  }

  moveBreakpoint(index: number, time: number, continues = false): void {
    const { times, points } = this.timbre;
    const low = index > 0 ? times[index - 1] + 0.01 : 0;
    const high = index < times.length - 1 ? times[index + 1] - 0.01 : Infinity;
    const moved = Math.min(Math.max(time, low), high);
    this.piece.setTimbre({ times: times.with(index, moved), points }, continues);
  }

  removeBreakpoint(index: number): void {
    const { times, points } = this.timbre;
    this.chooseBreakpoint(null);
    if (times.length === 1) return;
    this.piece.setTimbre({ times: times.toSpliced(index, 1), points: points.toSpliced(index, 1) });
  }

  clear(): void {
    this.chooseBreakpoint(null);
    this.moveTo([...this.point]);
  }

  /** Hear and see the path at one of its breakpoints, which is moved from now on; null ends that. */
  chooseBreakpoint(index: number | null): void {
    this.chosen = index === null ? null : { track: this.piece.selected, index };
    if (index === null) return;
    this.playhead.seek(Math.min(this.timbre.times[index], this.piece.duration));
  }

  toggleDrawing(): void {
    this.drawing = !this.drawing;
    this.chooseBreakpoint(null);
  }

  /**
   * A stroke on the map is a path that begins at the playhead; the hand's time is the path's. The
   * timbre moved along with the stroke, which is undone with it.
   */
  setDrawn(stroke: { time: number; point: Point }[]): void {
    const { map, frameRate } = this.models;
    const path = thinned(drawn(stroke, frameRate), DRAWN_TOLERANCE * map!.width, MOST_BREAKPOINTS);
    this.piece.setTimbre(path, true);
    this.drawing = false;
    this.say(`A path with ${this.timbre.times.length} points was drawn.`);
  }

  /** Leave as many breakpoints of a recorded path as can be taken one by one. */
  thin(): void {
    const first = this.timbre.points.map(([value]) => value);
    const span = Math.max(...first) - Math.min(...first);
    this.piece.setTimbre(thinned(this.timbre, DRAWN_TOLERANCE * span, MOST_BREAKPOINTS));
  }

  setRepeat(repeat: boolean): void {
    this.repeat = repeat;
    this.piece.changed();
  }

  /** Keep the way that the timbre takes while it is moved. */
  toggleRecording(): void {
    this.recording = !this.recording;
    if (this.recording) {
      this.recordFrom = this.playhead.seconds;
      this.say("Recording the timbre's path.");
    } else {
      const { selected, score } = this.piece;
      const track = selected === KEYBOARD ? score.tracks.length : Math.max(selected, 0);
      this.tell({ kind: "recording", track, from: this.recordFrom, to: this.playhead.seconds });
    }
  }

  endRecording(): void {
    if (this.recording) this.toggleRecording();
  }

  recorded(timbre: Timbre): void {
    this.piece.setTimbre(timbre);
    this.say(`A path with ${timbre.times.length} points was recorded.`);
  }
}

// What the network says of each key and frame → notes, as src/timbrel/transcription/decoding.py finds
// them.

import constants from "../constants.json";
import { roundHalfEven } from "../engine/rounding";
import { BEND, FRAME, N_HEADS, OFFSET, ONSET, VELOCITY, type Thresholds } from "./sizes";

const { refractoryFrames, shortestFrames, endedFrames, bentCents } = constants.transcription;
const {
  gatheredFrames,
  gatheredSlope,
  sureOnsetFrames,
  noOnset,
  clearOnset,
  earlyShare,
  nearShare,
  nearS,
  peakFrames,
} = constants.transcription;
const { nPitches, lowestPitch } = constants;
const SEMITONE_CENTS = 100;
const MOST_VELOCITY = 127;

/** A note that was heard. */
export interface HeardNote {
  pitch: number;
  startS: number;
  endS: number;
  velocity: number;
  /** 0 to 1. */
  confidence: number;
  /** The mean of its pitch above `pitch`. */
  cents: number;
  /** Frame by frame, above `pitch`; nothing if it is not bent. */
  bendCents: number[];
}

/** A note that begins; its number is its own. */
export interface BegunNote {
  number: number;
  pitch: number;
  startS: number;
  velocity: number;
}

/** Whoever wants notes as they come. */
export interface Watcher {
  begun(note: BegunNote): void;
  /** The note of that number is over. */
  ended(number: number, note: HeardNote): void;
  /** Where a note is ended at the latest, in seconds after its start. */
  readonly longestS: number;
}

/** A note that has not ended yet. */
interface Sounding {
  number: number;
  key: number;
  start: number; // frames
  onset: number;
  velocity: number;
  frameSum: number;
  nFrames: number;
  bend: number[];
  /** For how many frames its key has been below the threshold. */
  below: number;
}

export class NoteDecoder {
  private readonly limits: Thresholds;
  private time = 0; // the next frame
  private begun = 0; // notes
  /** By the key that sounds now; in the order in which they began. */
  private readonly sounding = new Map<number, Sounding>();
  private readonly started = new Int32Array(nPitches).fill(-(2 ** 30));
  /** Frames and velocities of the last notes. */
  private near: { time: number; velocity: number }[] = [];
  /** Frames that are not decided yet, with those before them; nothing precedes the first one. */
  private readonly window: Float32Array[] = Array.from({ length: gatheredFrames }, nothing);
  private last = nothing();
  private before = nothing();
  /** Where in the last frame onsets lie, by key. */
  private places: Float32Array = new Float32Array(nPitches);

  constructor(
    private readonly frameRate: number,
    { onset, frame, offset }: Thresholds,
    private readonly watcher: Watcher | null = null,
  ) {
    // What the network says is in single precision, and compared so.
    this.limits = {
      onset: Math.fround(onset),
      frame: Math.fround(frame),
      offset: Math.fround(offset),
    };
  }

  /** Take probabilities, velocities and bends, (frames, 88, 5); gives notes that are over. */
  push(values: Float32Array): HeardNote[] {
    const size = nPitches * N_HEADS;
    const found: HeardNote[] = [];
    for (let at = 0; at < values.length; at += size) {
      this.window.push(values.slice(at, at + size));
      if (this.window.length <= 2 * gatheredFrames) continue;
      const { row, places } = gathered(this.window);
      this.window.shift();
      this.step(row, places, found);
    }
    return found;
  }

  /** End what still sounds, where the stream ends. */
  finish(): HeardNote[] {
    // One more frame, in which nothing happens, lets the last peaks be found.
    const found = this.push(new Float32Array(peakFrames * nPitches * N_HEADS));
    for (const key of [...this.sounding.keys()]) found.push(this.end(key, this.time - 1));
    return found;
  }

  /** A frame; what peaked in the one before is known now. */
  private step(row: Float32Array, places: Float32Array, found: HeardNote[]): void {
    const peaks = this.peaks(row, ONSET, this.limits.onset).filter(
      (key) => this.time - 1 - this.started[key] >= refractoryFrames,
    );
    this.ends(row, new Set(peaks), found);
    const usual = this.usualVelocity(peaks);
    for (const key of peaks) {
      // Before the first frame nothing is known.
      const start = this.time - 1 + (this.time > 1 ? this.places[key] : 0);
      if (this.sounding.has(key)) found.push(this.end(key, start));
      this.begin(key, start, usual);
    }
    const longest = this.watcher ? this.watcher.longestS * this.frameRate : Infinity;
    for (const [key, note] of this.sounding) {
      note.frameSum += row[at(key, FRAME)];
      note.nFrames++;
      note.bend.push(SEMITONE_CENTS * (key - note.key) + row[at(key, BEND)]);
      if (note.nFrames >= longest) found.push(this.end(key, this.time));
    }
    [this.before, this.last, this.places] = [this.last, row, places];
    this.time++;
  }

  /** The keys at which a probability had a peak in the last frame. */
  private peaks(row: Float32Array, head: number, least: number): number[] {
    const { last, before } = this;
    const keys: number[] = [];
    for (let key = 0; key < nPitches; key++) {
      const here = last[at(key, head)];
      if (here >= least && here >= before[at(key, head)] && here > row[at(key, head)]) {
        keys.push(key);
      }
    }
    return keys;
  }

  /** The mean velocity of notes that begin now and of those just before them. */
  private usualVelocity(struck: number[]): number {
    if (!struck.length) return 0;
    const first = this.time - nearS * this.frameRate;
    this.near = this.near.filter(({ time }) => time > first);
    for (const key of struck) {
      this.near.push({ time: this.time, velocity: this.last[at(key, VELOCITY)] });
    }
    return this.near.reduce((sum, { velocity }) => sum + velocity, 0) / this.near.length;
  }

  private begin(key: number, start: number, usual: number): void {
    const { last } = this;
    const own = last[at(key, VELOCITY)];
    const velocity = own + nearShare * (usual - own);
    this.started[key] = this.time - 1;
    const number = this.begun++;
    this.sounding.set(key, {
      number,
      key,
      start: Math.max(start, 0),
      onset: Math.min(last[at(key, ONSET)], 1),
      velocity,
      frameSum: last[at(key, FRAME)],
      nFrames: 1,
      bend: [last[at(key, BEND)]],
      below: 0,
    });
    this.watcher?.begun({
      number,
      pitch: key + lowestPitch,
      startS: Math.max(start, 0) / this.frameRate,
      velocity: velocityOf(velocity),
    });
  }

  private ends(row: Float32Array, struck: Set<number>, found: HeardNote[]): void {
    const isOld = (key: number) => this.time - 1 - this.started[key] >= shortestFrames;
    for (const key of this.peaks(row, OFFSET, this.limits.offset)) {
      if (!this.sounding.has(key) || struck.has(key) || !isOld(key)) continue;
      found.push(this.end(key, this.time - 1 + this.releaseShift(row, key)));
    }
    const silent: number[] = [];
    for (const [key, note] of this.sounding) {
      note.below = row[at(key, FRAME)] < this.limits.frame ? note.below + 1 : 0;
      if (note.below >= endedFrames && !struck.has(key)) silent.push(key);
    }
    for (const key of silent.sort((a, b) => a - b)) {
      const other = this.bentTo(key, row);
      if (other !== null) this.move(key, other);
      else if (this.time - this.started[key] >= shortestFrames) {
        found.push(this.end(key, this.time + 1 - endedFrames));
      }
    }
  }

  /** The key next to one that no longer sounds, if it sounds and has not been struck. */
  private bentTo(key: number, row: Float32Array): number | null {
    for (const other of [key - 1, key + 1]) {
      if (other < 0 || other >= nPitches || this.sounding.has(other)) continue;
      const struck = Math.max(
        ...[row, this.last, this.before].map((values) => values[at(other, ONSET)]),
      );
      if (row[at(other, FRAME)] >= this.limits.frame && struck < this.limits.onset) return other;
    }
    return null;
  }

  private move(key: number, other: number): void {
    const note = this.sounding.get(key)!;
    this.sounding.delete(key);
    this.sounding.set(other, note);
    this.started[other] = this.started[key];
    note.below = 0;
  }

  private end(key: number, end: number): HeardNote {
    const note = this.sounding.get(key)!;
    this.sounding.delete(key);
    // The frames in which the end was noticed are not the note's.
    const nFrames = Math.max(roundHalfEven(end - note.start), 1);
    const curve = note.bend.slice(0, nFrames);
    const cents = curve.reduce((a, b) => a + b, 0) / curve.length;
    const isBent = curve.some((value) => Math.abs(value - cents) > bentCents);
    const meanFrame = note.frameSum / note.nFrames;
    const ended: HeardNote = {
      pitch: note.key + lowestPitch,
      startS: note.start / this.frameRate,
      endS: Math.max(end, note.start + 1) / this.frameRate,
      velocity: velocityOf(note.velocity),
      confidence: Math.sqrt(note.onset * Math.min(meanFrame, 1)),
      cents,
      bendCents: isBent ? curve.map((value) => roundHalfEven(10 * value) / 10) : [],
    };
    this.watcher?.ended(note.number, ended);
    return ended;
  }

  /** Where a peak lies between frames, −½ to ½, of a triangle that is four frames wide. */
  private releaseShift(row: Float32Array, key: number): number {
    const [before, peak, after] = [this.before, this.last, row].map((one) => one[at(key, OFFSET)]);
    const rise = after - before;
    if (!rise) return 0;
    return Math.min(Math.max(rise / (peak + Math.abs(rise) / 2), -0.5), 0.5);
  }
}

function nothing(): Float32Array {
  return new Float32Array(nPitches * N_HEADS);
}

/**
 * Of 2 · `gatheredFrames` + 1 frames the one in the middle, its onsets summed over all of them; in
 * single precision step by step, as NumPy sums them.
 */
function gathered(window: Float32Array[]): { row: Float32Array; places: Float32Array } {
  const row = window[gatheredFrames].slice();
  const places = new Float32Array(nPitches);
  const single = Math.fround;
  const slope = single(gatheredSlope);
  for (let key = 0; key < nPitches; key++) {
    let [total, weighed, moment, largest] = [single(noOnset), 0, 0, 0];
    let velocity = single(total * row[at(key, VELOCITY)]);
    window.forEach((values, i) => {
      const away = i - gatheredFrames;
      const onset = values[at(key, ONSET)];
      const weight = single(1 - single(slope * Math.abs(away)));
      total = single(total + onset);
      weighed = single(weighed + single(weight * onset));
      moment = single(moment + single(away * onset));
      velocity = single(velocity + single(onset * values[at(key, VELOCITY)]));
      largest = Math.max(largest, onset);
    });
    row[at(key, ONSET)] = weighed / single(sureOnsetFrames);
    row[at(key, VELOCITY)] = velocity / total;
    places[key] = largest < clearOnset ? early(window, key, total) : moment / total;
  }
  return { row, places };
}

/** When `earlyShare` of the onsets' sum has passed, each frame's evenly over the frame. */
function early(window: Float32Array[], key: number, total: number): number {
  const single = Math.fround;
  const wanted = single(single(earlyShare) * total);
  let passed = 0;
  for (const [i, values] of window.entries()) {
    const onset = values[at(key, ONSET)];
    const next = single(passed + onset);
    if (passed < wanted && wanted <= next) {
      return i - gatheredFrames - 0.5 + single(single(wanted - passed) / onset);
    }
    passed = next;
  }
  return 0;
}

function velocityOf(share: number): number {
  return Math.min(Math.max(roundHalfEven(MOST_VELOCITY * share), 1), MOST_VELOCITY);
}

function at(key: number, head: number): number {
  return key * N_HEADS + head;
}

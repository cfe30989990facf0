// Plays a source into the output: computes ahead of the listener, and when a timbre moves, a track is
// muted or a key is struck, goes back to a state before the change and computes what has not been
// heard yet once more. So there is a reserve against interruptions, and a change is heard at once.

import type { Output } from "./output";
import { FULL, LoadMeter, QualityMeter, type Quality } from "./quality";
import { aligned, type Place, type Playing, type Source, type Step } from "./source";
import type { Note } from "../score/score";
import type { Point } from "../timbre/timbre";

const FIRST_STEPS = 2; // hops that are given out together where the sound changes
const MOST_ATTEMPTS = 4;
const JUDGED_HOPS = 5.5; // as many are computed ahead, until it is known how long they take
const READY_MADE_AHEAD_S = 4; // of what is there already; enough to begin computing meanwhile
const MOST_AHEAD_S = 6;
const MOST_SILENCE_S = 1; // of waiting for sound, since playing began: a busy moment is no reason to stop
const LIVE_NOTE_MEMORY_S = 12; // a key's note that ended so long ago is forgotten
const SHORTEST_S = 0.05; // of a key's note
const MOST_SLOWER = 4; // than usual: a hop that took longer was kept waiting, and says no more than that

interface Computed {
  before: Place;
  /** Position in the ring of the score's first sample. */
  base: number;
}

/** What the ring holds from a place on, where the score's first sample would be, and the rate. */
interface Segment {
  ring: number;
  base: number;
  rate: number;
}

/** A track that is played by hand takes its notes. */
export type LiveTrack = (notes: readonly Note[]) => void;

export interface PlayerEvents {
  computed(step: Step): void;
  /** A change asked for with the listener at `asked` begins to sound at `heard`. */
  changed(asked: number, heard: number): void;
  ended(): void;
  /** Computing fell behind for good, and the listener has heard all there is. */
  starved(): void;
  /** What the pictures may cost, by how long hops took. */
  measured(quality: Quality): void;
}

export class Player {
  playing = false;
  loop = false;
  /** Seconds of reserve that are aimed at. */
  aheadS = FULL.aheadS;
  /** Seconds that are aimed at beside that, before something keeps the player from computing. */
  secured = 0;
  /** Hops of timbre as they were last computed: frame → where each track's is. */
  readonly used = new Map<number, readonly Point[]>();
  /** Milliseconds that a hop's computation takes, smoothed. */
  stepMs = 20;

  /** Tracks that are being computed. */
  nTracks = 0;

  private source: Source | null = null;
  private now: Playing = { timbres: [], heard: [], dry: false };
  private next: Place | null = null;
  private from = 0;
  private base = 0;
  private chain: Computed[] = [];
  private sampleRate = 1;
  private hopLength = 1;
  private segments: Segment[] = [];
  private withheld: Step[] | null = null; // the first steps after a change, given out together
  private joint: "on" | "change" | "cut" = "on";
  private asked = -1;
  private atNextHop = false; // whether a change begins with the hop that is computed next
  /** Up to where the ring holds what is wanted now; beyond may lie what was wanted before. */
  private fresh = 0;
  // What was asked for and not done yet; of several changes the last one counts.
  private cueing: (() => Promise<void>) | null = null;
  private cuedTo: number | null = null; // in seconds, until playing has come there
  private wanted: Playing | null = null;
  private keys: { pitch: number; velocity: number }[] = [];
  private wake: (() => void) | null = null;
  private liveNotes: Note[] = [];
  private live: LiveTrack | null = null;
  private finished = false;
  private meter = new QualityMeter();
  private readonly load = new LoadMeter();
  private silenceS = 0; // of waiting for sound, since playing began
  private changedAt = 0; // when the change that is being computed was begun
  private undo: (() => void) | null = null; // brings back what was before it, where that is possible
  private attempts = 0; // at a change whose computation took too long
  private extraMs = 0; // that the next one is given

  constructor(
    private readonly output: Output,
    private readonly events: PlayerEvents,
  ) {}

  private get frameRate(): number {
    return this.sampleRate / this.hopLength;
  }

  /** Wait until so much is computed ahead of the listener as keeps the sound up for some time. */
  async secure(seconds: number): Promise<void> {
    this.secured = seconds;
    this.notify();
    while (this.playing && !this.finished && this.aheadSeconds < 0.8 * seconds) {
      await new Promise<void>((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Computes for ever; errors go to whoever awaits it. */
  async run(): Promise<never> {
    for (;;) {
      if (this.cueing) {
        const cue = this.cueing;
        this.cueing = null;
        await cue();
      } else if ((this.wanted || this.keys.length) && !this.withheld) {
        // One change is brought to an end before the next one begins, or a hand that never rests would
        // never be heard.
        this.apply();
      } else if (this.source && this.next && !this.finished && this.hungry) {
        const [began, ahead] = [performance.now(), this.aheadSeconds];
        await this.compute();
        this.checkReserve((performance.now() - began) / 1000 - ahead);
        // Messages come in between steps.
        await new Promise<void>((resolve) => this.pause(resolve, 0));
      } else {
        this.checkEnd();
        await new Promise<void>((resolve) => this.pause(resolve, this.playing ? 6 : 50));
      }
    }
  }

  /** Seconds of the score where the listener is. */
  get seconds(): number {
    if (this.cuedTo !== null) return this.cuedTo;
    const read = this.output.read;
    const { base, rate } = this.segmentAt(read);
    return Math.max(read - base, 0) / rate;
  }

  get aheadSeconds(): number {
    return Math.max(this.fresh - this.output.read, 0) / this.sampleRate;
  }

  /** Seconds from a key that is struck while it plays to where it begins to sound. */
  get keyLatency(): number {
    return this.output.safetyS + this.firstStepsS;
  }

  /** The share of the time for which it plays that a hop's computation takes. */
  get realTimeFactor(): number {
    return this.stepMs / 1000 / ((this.source?.hop ?? 16) / this.frameRate);
  }

  /** Whether what is played takes longer to compute than to play. */
  get overloaded(): boolean {
    return this.load.tooMuch;
  }

  /** Whether nothing else should be computed now: a change is to be heard, or the reserve is short. */
  get pressed(): boolean {
    if (this.withheld || this.wanted || this.keys.length) return true;
    return this.playing && !this.finished && this.aheadSeconds < this.aheadS / 2;
  }

  /**
   * Play another source, or the same one from another place. Keys that are held sound on, and those
   * that were struck and not heard yet are heard; without a live track they are forgotten.
   */
  cue(source: Source, playing: Playing, seconds: number, live: LiveTrack | null): void {
    this.wanted = null;
    if (!live) this.keys = this.liveNotes = [];
    // Who presses Play before the new sound is there must not hear the old one.
    if (!this.playing) this.output.finish(this.output.read);
    this.cuedTo = seconds;
    this.cueing = async () => {
      this.take(source, playing);
      const last = source.nFrames - 1;
      const frame = aligned(Math.min(seconds * this.frameRate, last), source.hop);
      this.liveNotes = this.liveNotes.flatMap((note) =>
        note.end === Infinity ? [{ ...note, start: frame / this.frameRate }] : [],
      );
      this.connect(live);
      this.next = await source.start(frame, playing);
      this.from = frame;
      const start = this.output.next;
      this.base = start - frame * this.hopLength;
      this.chain = [];
      this.segments = [{ ring: start, base: this.base, rate: this.sampleRate }];
      this.used.clear();
      if (!this.cueing) this.cuedTo = null;
      this.finished = false;
      this.output.finish(null);
      this.begin("cut");
    };
    this.notify();
  }

  /**
   * Go on in another source of the same piece, at a place that lies so far ahead of the listener; what
   * is in the ring is played until then. Its live track goes on with the keys that were struck.
   */
  handOver(source: Source, playing: Playing, live: LiveTrack | null, leadS = 0): void {
    if (this.cuedTo !== null) return this.cue(source, playing, this.cuedTo, live);
    this.wanted = null;
    this.cueing = async () => {
      const soonest = this.output.soonest + Math.max(this.lag, leadS * this.sampleRate);
      const { base, rate } = this.segmentAt(soonest);
      if (rate === this.sampleRate) this.rebase(base);
      this.take(source, playing);
      this.connect(live);
      const exact = ((soonest - base) / rate) * this.frameRate;
      const from = Math.max(Math.min(Math.ceil(exact), source.nFrames - 1), 0);
      const ring = Math.round(base + (from / this.frameRate) * rate);
      this.next = await source.start(aligned(from, source.hop), playing);
      this.from = from;
      this.base = ring - from * this.hopLength;
      this.chain = [];
      this.segments = this.segments.filter((segment) => segment.ring <= soonest);
      this.segments.push({ ring, base: this.base, rate: this.sampleRate });
      this.finished = false;
      this.undo = null;
      this.output.finish(null);
      this.begin("change");
    };
    this.notify();
  }

  /** Other timbres, or other tracks that are heard, from as soon as possible. */
  change(playing: Playing): void {
    if (this.asked < 0) this.asked = this.output.read;
    this.wanted = playing;
    this.notify();
  }

  /** A key of the live track goes down (velocity > 0) or up. */
  key(pitch: number, velocity: number): void {
    if (this.asked < 0) this.asked = this.output.read;
    this.keys.push({ pitch, velocity });
    this.notify();
  }

  play(playing: boolean): void {
    this.playing = playing;
    this.silenceS = 0;
    this.output.play(playing);
    this.notify();
  }

  private apply(): void {
    if (!this.live) this.keys = [];
    if (!this.wanted && !this.keys.length) {
      if (!this.atNextHop) this.asked = -1;
      return;
    }
    const { chain, segments, next, base, fresh, now } = this;
    this.undo = () => Object.assign(this, { chain, segments, next, base, fresh, now, joint: "on" });
    if (this.wanted) this.now = this.wanted;
    this.wanted = null;
    if (!this.keys.length && !this.canGoBack) {
      this.atNextHop = true;
      this.attempts = this.extraMs = 0;
      return;
    }
    const soonest = this.output.soonest + this.lag + (this.extraMs * this.sampleRate) / 1000;
    this.extraMs = 0;
    this.changedAt = performance.now();
    if (!this.keys.length) {
      this.rewind((ring) => ring >= soonest, false);
      return;
    }
    this.rebase(this.chain.findLast((one) => this.placeOf(one) <= soonest)?.base ?? this.base);
    const time = (soonest - this.base) / this.sampleRate;
    for (const { pitch, velocity } of this.keys) {
      const isHeld = (note: Note) => note.pitch === pitch && note.end === Infinity;
      this.liveNotes = this.liveNotes.map((note) =>
        isHeld(note) ? { ...note, end: Math.max(time, note.start + SHORTEST_S) } : note,
      );
      if (velocity > 0)
        this.liveNotes.push({ pitch, velocity, start: time, end: Infinity, detune: 0 });
    }
    this.keys = [];
    this.liveNotes = this.liveNotes.filter((note) => note.end > time - LIVE_NOTE_MEMORY_S);
    this.connect(this.live);
    this.rewind((ring) => ring <= soonest, true);
  }

  /**
   * Whether the reserve lasts for a change that comes too late and is made anew. Where it does not, the
   * listener would run into sound of a timbre that was given up long ago.
   */
  private get canGoBack(): boolean {
    return this.finished || this.fresh - this.output.soonest >= 2 * this.expectedLag;
  }

  private get hungry(): boolean {
    if (!(this.source!.has?.(this.next!) ?? true)) return false;
    return this.withheld !== null || this.fresh - this.output.read < this.ahead;
  }

  /** Samples of reserve that are aimed at; more where the computer is hardly fast enough. */
  private get ahead(): number {
    if (this.source?.computes === false) return READY_MADE_AHEAD_S * this.sampleRate;
    const wanted = this.aheadS + 6 * Math.max(this.realTimeFactor - 0.25, 0);
    const seconds = Math.max(
      Math.min(wanted, MOST_AHEAD_S),
      this.load.known || !this.source ? 0 : (JUDGED_HOPS * this.source.hop) / this.frameRate,
      this.secured,
    );
    return Math.min(seconds * this.sampleRate, this.output.capacity);
  }

  /** Samples that the listener hears while what comes next is computed; no more than there are. */
  private get lag(): number {
    return Math.min(this.expectedLag, Math.max(this.output.end - this.output.soonest, 0));
  }

  private get expectedLag(): number {
    return this.playing ? this.firstStepsS * this.sampleRate : 0;
  }

  /** Seconds until the first steps after a change are computed. */
  private get firstStepsS(): number {
    return (FIRST_STEPS * 1.1 * this.stepMs) / 1000;
  }

  /**
   * Go back to a state at a hop's beginning whose place in the ring fits; to the first such one, or
   * to the last one.
   */
  private rewind(fits: (ring: number) => boolean, last: boolean): void {
    if (!this.source || !this.next) return;
    const places = this.chain.map((one) => this.placeOf(one));
    const index = last ? places.findLastIndex(fits) : places.findIndex(fits);
    if (index < 0) return;
    const { before, base } = this.chain[index];
    this.next = before;
    this.rebase(base);
    this.chain = this.chain.slice(0, index);
    this.segments = this.segments.filter((segment) => segment.base <= base);
    this.finished = false;
    this.output.finish(null);
    this.begin("change");
  }

  private begin(joint: "change" | "cut"): void {
    // A cut that has not been written yet stays one.
    this.joint = this.withheld && this.joint === "cut" ? "cut" : joint;
    this.withheld = [];
    this.fresh = this.output.next;
  }

  private async compute(): Promise<void> {
    const source = this.source!;
    const before = await source.regrouped(this.next!, this.now);
    const began = performance.now();
    const step = await source.step(before, this.now, this.from);
    if (source.computes) this.measure(performance.now() - began, step);
    this.next = step.next;
    this.chain.push({ before, base: this.base });
    if (step.frame < source.nFrames) this.events.computed(step);
    if (this.withheld) {
      this.withheld.push(step);
      const reach = this.base + step.at + step.mix[0].length;
      if (this.withheld.length < FIRST_STEPS || reach <= this.output.soonest) return;
      const steps = this.withheld;
      this.withheld = null;
      if (this.tooLate(steps[0])) return;
      for (const one of steps) this.give(one);
    } else this.give(step);
    const { read } = this.output;
    // States that nobody can go back to any more are let go; the last one may be wanted by a key.
    while (this.chain.length > 2 && this.placeOf(this.chain[1]) < read) this.chain.shift();
    while (this.segments.length > 1 && this.segments[1].ring <= read) this.segments.shift();
    if (this.used.size > 1 << 16) this.used.clear();
    if (step.at + step.mix[0].length >= source.nSamples) await this.reachEnd(source);
  }

  private take(source: Source, playing: Playing): void {
    if (source !== this.source && source.computes) {
      this.meter = new QualityMeter();
      this.load.restart();
      // A hop that is longer takes longer, about as much.
      const hopS = (one: Source) => (one.hop * one.hopLength) / one.sampleRate;
      if (this.source) this.stepMs *= hopS(source) / hopS(this.source);
    }
    this.source = source;
    this.now = playing;
    this.sampleRate = source.sampleRate;
    this.hopLength = source.hopLength;
    this.output.setRate(source.sampleRate);
    if (!source.computes) this.nTracks = 0;
  }

  private measure(tookMs: number, { nTracks, nAsleep }: Step): void {
    if (nTracks !== this.nTracks) {
      // More tracks will take longer, about as much each.
      if (this.nTracks && nTracks) this.stepMs *= nTracks / this.nTracks;
      this.nTracks = nTracks;
      this.meter = new QualityMeter();
      this.load.restart();
    }
    // Rest says nothing of how long a note will take.
    if (nTracks && nAsleep === nTracks) return;
    this.stepMs += 0.2 * (Math.min(tookMs, MOST_SLOWER * this.stepMs) - this.stepMs);
    const hopS = this.source!.hop / this.frameRate;
    const share = tookMs / 1000 / hopS;
    this.load.add(share, hopS);
    const quality = this.meter.add(share);
    if (!quality) return;
    this.aheadS = quality.aheadS;
    this.events.measured(quality);
  }

  /** What lies at a place of the ring. */
  private segmentAt(ring: number): Segment {
    const started = this.segments.filter((segment) => segment.ring <= ring);
    return started.at(-1) ?? this.segments[0] ?? { ring: 0, base: 0, rate: this.sampleRate };
  }

  private placeOf({ before, base }: Computed): number {
    return base + before.frame * this.hopLength;
  }

  private give(step: Step): void {
    const rest = Math.max(Math.min(this.source!.nSamples - step.at, step.mix[0].length), 0);
    const sides = step.mix.map((side) => side.subarray(0, rest)) as Step["mix"];
    const at = this.base + step.at;
    this.used.set(step.frame, step.points);
    // What comes late takes the place of older sound that is being heard already.
    if (this.joint === "on" && at < this.output.soonest && this.output.end > at)
      this.joint = "change";
    const start = this.output.write(at, sides, this.joint);
    this.fresh = at + rest;
    if (start < 0) return;
    if (this.asked >= 0 && (this.joint !== "on" || this.atNextHop)) {
      this.events.changed(this.asked, start);
      this.asked = -1;
    }
    this.atNextHop = false;
    this.joint = "on";
  }

  /**
   * Whether the listener has passed the place where a timbre was to change. Then the change is made
   * anew at a later place, so that the path that is noted down is the one that was heard.
   */
  private tooLate(first: Step): boolean {
    const place = this.base + first.frame * this.hopLength;
    const heard = this.joint === "cut" || !this.playing || this.live !== null;
    if (heard || !this.undo || this.output.soonest <= place || this.attempts >= MOST_ATTEMPTS) {
      this.attempts = 0;
      return false;
    }
    this.attempts++;
    this.extraMs = Math.min(1.5 * (performance.now() - this.changedAt), 1000);
    this.wanted ??= this.now;
    this.undo();
    return true;
  }

  private async reachEnd(source: Source): Promise<void> {
    if (!this.loop) {
      this.finished = true;
      this.output.finish(this.fresh);
      return;
    }
    this.rebase(this.base + source.nSamples);
    this.from = 0;
    this.next = await source.start(0, this.now);
    this.segments.push({ ring: this.base, base: this.base, rate: this.sampleRate });
  }

  private checkEnd(): void {
    const heardAll = this.finished && this.fresh - this.output.read < this.sampleRate / 100;
    if (!this.playing || !heardAll) return;
    this.play(false);
    this.events.ended();
  }

  /** Follow a hop that came so many seconds too late, or in time where that is negative. */
  private checkReserve(late: number): void {
    if (!this.playing || this.finished || this.live || this.withheld) return;
    if (!this.source?.computes) return;
    this.silenceS += Math.max(late, 0);
    if (this.load.tooMuch && this.silenceS > MOST_SILENCE_S) this.events.starved();
  }

  /** Count the score's time from another place of the ring on; the keys stay where they were struck. */
  private rebase(base: number): void {
    const by = (this.base - base) / this.sampleRate;
    this.base = base;
    if (by === 0 || !this.liveNotes.length) return;
    this.liveNotes = this.liveNotes.map((note) => ({
      ...note,
      start: note.start + by,
      end: note.end + by,
    }));
    this.connect(this.live);
  }

  /** Play by hand what a source lets play by hand, with the notes that are there. */
  private connect(live: LiveTrack | null): void {
    this.live = live;
    live?.(this.liveNotes);
  }

  private notify(): void {
    this.wake?.();
  }

  /** Wait; a message ends the wait. Timers of less than 4 ms are slower than a message to oneself. */
  private pause(resolve: () => void, ms: number): void {
    if (ms === 0) {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
      return;
    }
    const timer = setTimeout(resolve, ms);
    this.wake = () => {
      clearTimeout(timer);
      resolve();
    };
  }
}

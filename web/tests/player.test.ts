// What the player is asked for: keys are heard soon after they are struck, and not a second time.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HEADER, newRing, openRing, RING_SIZE } from "../src/audio/ring";
import { Output } from "../src/engine/output";
import { Player, type LiveTrack } from "../src/engine/player";
import type { Place, Playing, Source, Step } from "../src/engine/source";
import type { Note } from "../src/score/score";

const RATE = 1000;
const HOP_S = 0.128;
const PLAYING: Playing = { timbres: [], heard: [], dry: false };

let clock = 0; // in milliseconds

vi.setConfig({ testTimeout: 120_000 }); // the machine may be busy
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 100_000, interval: 5 });

/** A track that is played by hand: 1 where a key is down, 0 elsewhere. */
class Hand implements Source {
  readonly computes = true;
  readonly hop = 16;
  readonly hopLength = 8;
  readonly sampleRate = RATE;
  readonly nSamples: number;
  notes: readonly Note[] = [];
  readonly live: LiveTrack = (notes) => (this.notes = notes);

  constructor(
    readonly nFrames = Infinity,
    readonly tookMs: (frame: number) => number = () => 10,
  ) {
    this.nSamples = nFrames * this.hopLength;
  }

  async start(frame: number): Promise<Place> {
    return { frame };
  }

  async regrouped(before: Place): Promise<Place> {
    return before;
  }

  async step({ frame }: Place, _: Playing, from: number): Promise<Step> {
    clock += this.tookMs(frame);
    const at = Math.max(frame, from) * this.hopLength;
    const isDown = (time: number) =>
      this.notes.some(({ start, end }) => time >= start && time < end);
    const left = Float32Array.from({ length: (frame + this.hop) * this.hopLength - at }, (_, i) =>
      Number(isDown((at + i) / RATE)),
    );
    return {
      ...{ at, frame, mix: [left, left], mel: new Float32Array(1), points: [[0]] },
      ...{ nTracks: 1, nAsleep: 0, next: { frame: frame + this.hop } },
    };
  }
}

/** A player and the ring that it fills. */
function opened() {
  const buffer = newRing(false);
  const ring = openRing(buffer);
  const output = new Output(buffer as SharedArrayBuffer);
  const nothing = () => {};
  const events = { computed: nothing, changed: nothing, ended: nothing, starved: nothing, measured: nothing }; // prettier-ignore
  const player = new Player(output, events);
  player.run().catch(() => {});
  return {
    player,
    output,
    /** The listener comes to a place, in seconds. */
    listen: (seconds: number) => Atomics.store(ring.header, HEADER.read, seconds * RATE),
    /** What was written for a time, away from where sounds fade into each other. */
    at: (seconds: number) => ring.left[Math.round(seconds * RATE) & (RING_SIZE - 1)],
    written: () => output.end / RATE,
  };
}

beforeEach(() => {
  clock = 0;
  vi.spyOn(performance, "now").mockImplementation(() => clock);
});
afterEach(() => void vi.restoreAllMocks());

describe("a key", () => {
  it.each([
    ["after one that was kept waiting", (frame: number) => (frame ? 10 : 30_000)],
    ["on a computer that is too slow", () => 2000],
  ])("begins within what is computed, for there the listener waits: %s", async (_, tookMs) => {
    const hand = new Hand(Infinity, (frame) => {
      if (frame === 16 && !hand.notes.length) player.key(60, 100);
      return tookMs(frame);
    });
    const { player, at } = opened();
    player.cue(hand, PLAYING, 0, hand.live);
    player.play(true);
    await eventually(() => expect(hand.notes).toHaveLength(1));
    const [{ start }] = hand.notes;
    expect(start).toBeLessThanOrEqual(2 * HOP_S);
    await eventually(() => expect(at(start + 0.05)).toBe(1));
    expect(at(start - 0.01)).toBe(0);
  });

  it("that is struck while what it plays is cued, even twice, is heard", async () => {
    const [first, hand] = [new Hand(), new Hand()];
    const { player, at } = opened();
    player.cue(first, PLAYING, 0, first.live);
    player.key(60, 100);
    player.cue(hand, PLAYING, 0, hand.live);
    player.key(64, 100);
    player.play(true);
    await eventually(() => expect(hand.notes.map(({ pitch }) => pitch)).toEqual([60, 64]));
    await eventually(() => expect(at(hand.notes[0].start + 0.05)).toBe(1));
  });

  it("that is held sounds on at another place, and one that was let go does not", async () => {
    const [first, hand] = [new Hand(), new Hand()];
    const { player } = opened();
    player.cue(first, PLAYING, 0, first.live);
    for (const [pitch, velocity] of [[60, 100], [64, 100], [64, 0]]) player.key(pitch, velocity); // prettier-ignore
    await eventually(() => expect(first.notes).toHaveLength(2));
    player.cue(hand, PLAYING, 16 * HOP_S, hand.live);
    await eventually(() => expect(hand.notes).toHaveLength(1));
    expect(hand.notes[0]).toMatchObject({ pitch: 60, start: 16 * HOP_S, end: Infinity });
  });

  it("is forgotten where nothing is played by hand any more", async () => {
    const [first, piece, hand] = [new Hand(), new Hand(), new Hand()];
    const { player, written } = opened();
    player.cue(first, PLAYING, 0, first.live);
    player.key(60, 100);
    await eventually(() => expect(first.notes).toHaveLength(1));
    player.cue(piece, PLAYING, 0, null);
    player.key(62, 100); // while nobody listens to keys
    await eventually(() => expect(written()).toBeGreaterThan(2 * HOP_S));
    await eventually(() => expect(player.pressed).toBe(false));
    player.cue(hand, PLAYING, 0, hand.live);
    player.key(64, 100);
    await eventually(() => expect(hand.notes.map(({ pitch }) => pitch)).toEqual([64]));
  });

  it("goes on in a source that takes over", async () => {
    const [first, hand] = [new Hand(), new Hand()];
    const { player } = opened();
    player.cue(first, PLAYING, 0, first.live);
    player.play(true);
    player.key(60, 100);
    await eventually(() => expect(first.notes).toHaveLength(1));
    player.handOver(hand, PLAYING, hand.live);
    await eventually(() => expect(hand.notes).toEqual(first.notes));
    player.key(64, 100);
    await eventually(() => expect(hand.notes.map(({ pitch }) => pitch)).toEqual([60, 64]));
    expect(first.notes).toHaveLength(1);
  });

  it("that is held over the end of a loop sounds on, and is not heard again in the next turn", async () => {
    const turnS = 8 * HOP_S;
    const hand = new Hand(8 * 16);
    const { player, at, listen, written } = opened();
    player.loop = true;
    player.cue(hand, PLAYING, 0, hand.live);
    player.play(true);
    player.key(60, 100);
    await eventually(() => expect(hand.notes).toHaveLength(1));
    const { start } = hand.notes[0];
    listen(turnS - HOP_S);
    await eventually(() => expect(written()).toBeGreaterThan(turnS + 2 * HOP_S));
    expect(at(turnS + 0.02)).toBe(1);
    // It is let go while the next turn is being computed, but before the listener is there.
    player.key(60, 0);
    await eventually(() => expect(hand.notes[0].end).toBeLessThan(Infinity));
    await eventually(() => expect(at(turnS + HOP_S)).toBe(0));
    expect(at(turnS - HOP_S - 0.02)).toBe(1);
    listen(turnS + start);
    await eventually(() => expect(written()).toBeGreaterThan(turnS + start + 2 * HOP_S));
    expect(at(turnS + start + HOP_S)).toBe(0);
  });
});

it("who is sent elsewhere is there at once, also in a source that takes over meanwhile", async () => {
  const [first, hand] = [new Hand(), new Hand()];
  const { player, listen, written } = opened();
  player.cue(first, PLAYING, 0, null);
  player.play(true);
  await eventually(() => expect(written()).toBeGreaterThan(2 * HOP_S));
  listen(HOP_S);
  expect(player.seconds).toBeCloseTo(HOP_S);
  player.cue(first, PLAYING, 32 * HOP_S, null);
  player.handOver(hand, PLAYING, hand.live);
  expect(player.seconds).toBe(32 * HOP_S);
  player.key(60, 100);
  await eventually(() => expect(hand.notes).toHaveLength(1));
  expect(hand.notes[0].start).toBeGreaterThanOrEqual(32 * HOP_S);
  expect(player.seconds).toBeCloseTo(32 * HOP_S, 1);
});

// What the engine is told of playing, in the orders in which its answers may come.

import { beforeEach, expect, it, vi } from "vitest";
import constants from "../src/constants.json";
import type { FromEngine, ToEngine } from "../src/engine/messages";
import { plainTrack } from "../src/score/score";
import { NO_NOTES } from "../src/ui/piece.svelte";
import { Transport } from "../src/ui/transport.svelte";

// Node draws no pictures.
vi.stubGlobal(
  "OffscreenCanvas",
  class {
    getContext() {
      return { clearRect() {} };
    }
  },
);

const DURATION_S = 2;
const END_S = DURATION_S + constants.releaseS + constants.room.decayS;
const NOTE = { pitch: 60, velocity: 90, start: 0, end: DURATION_S, detune: 0 };
const TRACK = { ...plainTrack("piano"), notes: [NOTE] };

let told: ToEngine[];
let transport: Transport;

const kinds = () => told.splice(0).map(({ kind }) => kind);
const lastOrder = () => Math.max(...told.map((one) => ("order" in one ? one.order : 0)));

function positioned(seconds: number): void {
  const position = { kind: "position", seconds, playing: true, ahead: 0, underruns: 0 };
  transport.positioned({ ...position, read: 0 } as Extract<FromEngine, { kind: "position" }>);
}

beforeEach(async () => {
  told = [];
  const programme = { piece: 1, score: { ...NO_NOTES, tracks: [TRACK] }, timbres: [], heard: [], live: null }; // prettier-ignore
  transport = new Transport(
    (message) => told.push(message),
    () => programme,
    () => {},
  );
  const speaker = { sampleRate: 48000, setVolume() {}, resume: async () => {}, suspended: false };
  transport.connect(speaker as unknown as Parameters<Transport["connect"]>[0], null);
  transport.cue(0);
  await transport.play();
});

it("Play begins anew once all was heard, though the last place that was told lies before the end", async () => {
  positioned(END_S - 0.2);
  expect(transport.ended(lastOrder())).toBe(true);
  expect(transport.playing).toBe(false);
  expect(transport.seconds).toBeCloseTo(END_S);
  kinds();
  await transport.play();
  expect(kinds()).toEqual(["seek", "play"]);
  expect(transport.seconds).toBe(0);
});

it("an end that comes after Stop was pressed is the end", async () => {
  const order = lastOrder();
  positioned(END_S - 0.2);
  transport.stop();
  expect(transport.ended(order)).toBe(true);
  kinds();
  await transport.play();
  expect(kinds()).toEqual(["seek", "play"]);
});

it("who was sent elsewhere before the end was told plays on there", () => {
  const order = lastOrder();
  positioned(END_S - 0.2);
  transport.seek(1);
  kinds();
  expect(transport.ended(order)).toBe(false);
  expect(kinds()).toEqual(["play"]);
  expect([transport.playing, transport.seconds]).toEqual([true, 1]);
});

it("what is stopped somewhere goes on there, and stays silent where an end is told late", async () => {
  const order = lastOrder();
  positioned(1.5);
  transport.stop();
  transport.seek(0.5);
  kinds();
  expect(transport.ended(order)).toBe(false);
  expect(kinds()).toEqual([]);
  await transport.play();
  expect(kinds()).toEqual(["play"]);
  expect(transport.seconds).toBe(0.5);
});

// The room and the places are Python's. tests/web/make_golden.py writes the files.

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Mixer } from "../src/engine/mixer";
import { Room, type RoomState } from "../src/engine/room";
import { places, seated } from "../src/score/placement";
import { constant, plainTrack, type Automation, type Track } from "../src/score/score";

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../tests/web/golden/${name}.json`, import.meta.url), "utf8"));
const golden = read("room");
const n: number = golden.n;
const made = (value: (i: number) => number) => Float32Array.from({ length: n }, (_, i) => value(i));
const fade = (i: number) => Math.exp(-i / 4000);
const reverb = [
  made((i) => Math.sin(0.1 * i) * fade(i)),
  made((i) => Math.cos(0.37 * i) * fade(i)),
];
const chorus = [made((i) => Math.sin(0.05 * i)), made((i) => Math.cos(0.03 * i))];

function wetIn(ends: number[]): [number[], number[]] {
  const room = new Room(golden.sample_rate);
  const wet: [number[], number[]] = [[], []];
  let state = room.start();
  for (let k = 1; k < ends.length; k++) {
    const cut = (side: Float32Array) => side.subarray(ends[k - 1], ends[k]);
    const done = room.process(
      [cut(reverb[0]), cut(reverb[1])],
      [cut(chorus[0]), cut(chorus[1])],
      ends[k - 1],
      state,
    );
    state = done.state;
    done.wet.forEach((side, i) => wet[i].push(...side));
  }
  return wet;
}

it("a room sounds as in Python", () => {
  const wet = wetIn([0, n]);
  for (const side of [0, 1]) {
    golden.wet[side].forEach((value: number, k: number) => {
      expect(wet[side][k * golden.every]).toBeCloseTo(value, 5);
    });
  }
});

it("blocks do not matter, and a state can be gone back to", () => {
  const whole = wetIn([0, n]);
  expect(wetIn([0, 1, 500, 504, 1008, 20_000, 29_999, n])).toEqual(whole);
  const room = new Room(golden.sample_rate);
  const go = (state: RoomState) =>
    room.process([reverb[0], reverb[1]], [chorus[0], chorus[1]], 0, state);
  const { state } = go(room.start());
  const again = () => go(state).wet;
  expect(again()).toEqual(again());
});

it("tracks sit where Python seats them", () => {
  for (const { programs, pans } of read("placements")) {
    const tracks = programs.map((program: number) => ({ ...plainTrack(""), program, pan: null }));
    expect(places(tracks).map((pan) => pan.values[0])).toEqual(pans);
  }
  const set = { ...plainTrack(""), program: 40, pan: constant(1) };
  expect(places([{ ...plainTrack(""), pan: null }, set]).map((pan) => pan.values)).toEqual([
    [0],
    [1],
  ]);
});

it("a mix in a room sounds as in Python, and so does a dry one", () => {
  const mix = read("mix");
  const curve = ([times, values]: number[][]): Automation => ({ times, values });
  const unplaced: Track[] = mix.tracks.map((own: Record<string, number[][]>, i: number) => ({
    ...plainTrack(""),
    program: [0, 56][i],
    pan: null,
    gain: curve(own.gain),
    reverb: curve(own.reverb),
    chorus: curve(own.chorus),
  }));
  const score = { tracks: unplaced, drumTracks: [], pedalEvents: 0, unplayable: {}, warnings: [] };
  const { tracks } = seated(score);
  const audio = new Float32Array(2 * mix.n);
  for (let i = 0; i < mix.n; i++) {
    audio[i] = 0.3 * Math.sin(0.1 * i) * Math.exp(-i / 6000);
    audio[mix.n + i] = 0.2 * Math.cos(0.037 * i) * Math.exp(-i / 6000);
  }
  const room = new Room(mix.sample_rate);
  for (const kind of ["dry", "wet"]) {
    const mixer = new Mixer(tracks, mix.sample_rate, kind === "dry");
    const { sound, reverb, chorus } = mixer.process(audio, [0, 1], mix.n, 0);
    const { wet } = room.process(reverb, chorus, 0, room.start());
    for (const side of [0, 1]) {
      mix[kind][side].forEach((value: number, k: number) => {
        const i = k * mix.every;
        expect(sound[side][i] + wet[side][i]).toBeCloseTo(value, 5);
      });
    }
  }
});

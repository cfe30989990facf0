// One reading of MIDI: the page's is Python's, bit for bit. tests/web/make_golden.py writes the files.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseMidi } from "../src/score/midi";
import { N_CHANNELS, PianoRoll } from "../src/score/roll";
import { leftOut } from "../src/score/score";

const FOLDER = new URL("../../tests/web/golden/", import.meta.url);
const names = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".mid"))
  .map((name) => name.slice(0, -4));

const bytes = (name: string) => new Uint8Array(readFileSync(new URL(`${name}.mid`, FOLDER)));

describe("golden files", () => {
  it("are there", () => expect(names).toHaveLength(5));

  it.each(names)("%s is read as Python reads it", (name) => {
    const expected = JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), "utf-8"));
    const score = parseMidi(bytes(name));
    expect(score.pedalEvents).toBe(expected.pedal_events);
    expect(score.unplayable).toEqual(expected.unplayable);
    const found = score.tracks.map((track) => {
      const roll = new PianoRoll(track.notes, 125);
      const whole = new Float32Array(roll.nFrames * N_CHANNELS);
      roll.window(0, roll.nFrames, whole);
      return {
        name: track.name,
        program: track.program,
        channel: track.channel,
        notes: track.notes.map(({ pitch, velocity, start, end }) => [pitch, velocity, start, end]),
        gain: [track.gain.times, track.gain.values],
        pan: [track.pan.times, track.pan.values],
        n_frames: roll.nFrames,
        roll_sha256: createHash("sha256").update(new Uint8Array(whole.buffer)).digest("hex"),
      };
    });
    expect(found).toEqual(expected.tracks);
  });

  it("make the same roll window by window", () => {
    const [{ notes }] = parseMidi(bytes("pedal")).tracks;
    const roll = new PianoRoll(notes, 125);
    const whole = new Float32Array(roll.nFrames * N_CHANNELS);
    roll.window(0, roll.nFrames, whole);
    const parts = new Float32Array(whole.length);
    for (let start = 0; start < roll.nFrames; start += 7) {
      const stop = Math.min(start + 7, roll.nFrames);
      roll.window(start, stop, parts.subarray(start * N_CHANNELS, stop * N_CHANNELS));
    }
    expect(parts).toEqual(whole);
  });
});

describe("files that are no music", () => {
  const said = (data: Uint8Array) => {
    try {
      parseMidi(data);
    } catch (error) {
      return (error as Error).message;
    }
    return "nothing";
  };
  const text = (words: string) => new TextEncoder().encode(words);

  it("are refused in words", () => {
    expect(said(text(""))).toMatch("is empty");
    expect(said(text("Dear diary"))).toMatch("is not a MIDI file");
    expect(said(text("MThd"))).toMatch("is cut off");
    expect(said(bytes("pedal").slice(0, 100))).toMatch("is cut off");
    const noTime = bytes("pedal");
    noTime.set([0, 0], 12);
    expect(said(noTime)).toMatch("its time division is zero");
    expect(said(new Uint8Array(5 * 2 ** 20))).toMatch("is larger than 4 MiB");
  });

  it("survive a thousand damages", () => {
    const data = bytes("many-tracks");
    for (let i = 0; i < 1000; i++) {
      const damaged = data.slice();
      for (let k = 0; k < 4; k++)
        damaged[(i * 7919 + k * 104729) % damaged.length] = (i * 31 + k) & 255;
      expect(said(damaged)).toMatch(/nothing|^is |^lasts /);
    }
  });
});

it("what is left out is named", () => {
  const words = leftOut(parseMidi(bytes("format-0-drums")));
  expect(words).toMatch("notes of drums (30)");
  expect(words).toMatch("notes outside the 88 keys");
  expect(words).toMatch("pitch bends");
});

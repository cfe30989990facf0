// Rolls of all keys, bent pulses and drum strokes are Python's. tests/web/studio_golden.py writes the
// numbers.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BentExcitation } from "../src/engine/bent_excitation";
import { PreEchoControl } from "../src/engine/pre_echo";
import { Strokes } from "../src/engine/strokes";
import { parseMidi } from "../src/score/midi";
import { PerformanceRoll, rollOf } from "../src/score/performance_roll";
import type { Timing } from "../src/score/pitch";
import { soundingNotes } from "../src/score/sounding";
import constants from "../src/constants.json";

const FOLDER = new URL("../../tests/web/golden/", import.meta.url);
const GAP = 1e-6; // beside which single precision is as coarse
const STRETCH = constants.timbreFrames;

interface Window {
  start: number;
  stop: number;
  [name: string]: string | number | number[];
}

interface Told {
  start: number;
  stop: number;
  last: number;
  told_anew: boolean;
  rows: string;
  notes: number;
}

const golden: {
  sizes: Record<string, number>;
  frame_rate: number;
  thinning: number;
  pre_echo: string;
  tracks: { rolls: Window[]; told: Told[]; sources: Window[] }[];
} = JSON.parse(readFileSync(new URL("performance.json", FOLDER), "utf-8"));

const { sample_rate, hop_length, onset_grid_s, onset_clock_s, onset_delay_s } = golden.sizes;
const timing: Timing = { gridS: onset_grid_s, clockS: onset_clock_s, delayS: onset_delay_s };
const score = parseMidi(new Uint8Array(readFileSync(new URL("expressive.mid", FOLDER))));
const tracks = [...score.tracks, ...score.drumTracks];
const rolls = tracks.map(
  (track) => rollOf("performance", track, track.notes, golden.frame_rate) as PerformanceRoll,
);
const named = tracks.map((track, i) => [`${track.name} (${track.program})`, i] as const);

function numbers(text: unknown): Float32Array {
  const bytes = Buffer.from(text as string, "base64");
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** The largest difference of arrays of the same length; a phase just below 1 is one just above 0. */
function difference(found: Float32Array, expected: Float32Array, isPhase = false): number {
  expect(found.length).toBe(expected.length);
  const gap = (value: number, i: number) => Math.abs(value - expected[i]);
  const around = (distance: number) => (isPhase ? Math.min(distance, 1 - distance) : distance);
  return found.reduce((most, value, i) => Math.max(most, around(gap(value, i))), 0);
}

function thinned(values: Float32Array): Float32Array {
  return values.filter((_, i) => i % golden.thinning === 0);
}

function window(roll: PerformanceRoll, start: number, stop: number): Float32Array {
  const out = new Float32Array((stop - start) * roll.nChannels);
  roll.window(start, stop, out);
  return out;
}

it("the score has bends, vibrato, tunings and kits", () => {
  expect(tracks.map(({ isKit }) => isKit)).toEqual([false, false, false, true, true]);
  expect(rolls.map(({ pitches }) => pitches.isBent)).toEqual([true, true, true, false, false]);
  expect(rolls.map(({ pitches }) => pitches.hasVibrato)).toEqual([true, true, false, false, false]);
  expect(golden.tracks).toHaveLength(tracks.length);
});

it("holds back before strokes what Python holds back, hop by hop", () => {
  const sound = Float32Array.from(
    { length: 20 * hop_length },
    (_, i) => (Math.sin(0.05 * i) * (1 + (i % 2000) / 100)) / 20,
  );
  const untouched = sound.slice();
  const control = new PreEchoControl(sample_rate, hop_length);
  let levels: Float32Array = new Float32Array(control.nBlocks);
  for (let at = 0; at < sound.length; at += hop_length) {
    const hop = sound.subarray(at, at + hop_length);
    levels = control.process(hop, levels, [700, 3000, 3000, 3900, 6500, 7701], at);
  }
  expect(difference(thinned(sound), numbers(golden.pre_echo))).toBeLessThan(GAP);
  expect(difference(sound, untouched)).toBeGreaterThan(0.1);
});

it("a key that is still held is heard, and not released", () => {
  const held = { ...tracks[0].notes[0], start: 0.1, end: Infinity };
  const roll = new PerformanceRoll([held], golden.frame_rate);
  const { notes, stretches, timesS } = soundingNotes(roll, 640, 704, 736, STRETCH, false);
  expect(notes.length).toBe(1);
  expect(stretches).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(Math.max(...timesS.filter((_, i) => i % 2))).toBe(-1000);
  expect(timesS[0]).toBeCloseTo(640 / golden.frame_rate - 0.1, 5);
});

describe.each(named)("%s", (_, track) => {
  const roll = rolls[track];
  const { rolls: windows, told, sources } = golden.tracks[track];

  it("has Python's roll", () => {
    for (const { start, stop, at, values } of windows) {
      const expected = new Float32Array((stop - start) * roll.nChannels);
      const known = numbers(values);
      (at as number[]).forEach((place, i) => (expected[place] = known[i]));
      expect(difference(window(roll, start, stop), expected)).toBeLessThan(GAP);
    }
  });

  it("is heard as in Python", () => {
    for (const { start, stop, last, told_anew, rows, notes } of told) {
      const found = soundingNotes(roll, start, stop, last, STRETCH, told_anew);
      expect(found.notes.length).toBe(notes);
      const own = found.ofNote.map((place, row) => [
        ...found.notes[place],
        found.stretches[row],
        ...found.timesS.subarray(row * 2 * STRETCH, row * 2 * STRETCH + 2),
      ]);
      expect(difference(Float32Array.from(own.flat()), numbers(rows))).toBeLessThan(GAP);
    }
  });

  it("has the same roll window by window", () => {
    const parts = new Float32Array(roll.nFrames * roll.nChannels);
    for (let start = 0; start < roll.nFrames; start += 7) {
      const stop = Math.min(start + 7, roll.nFrames);
      parts.set(window(roll, start, stop), start * roll.nChannels);
    }
    expect(parts).toEqual(window(roll, 0, roll.nFrames));
  });

  if (roll.isKit) {
    const strokes = () => new Strokes(roll, sample_rate, hop_length, timing);

    it("has Python's strokes", () => {
      for (const { start, stop, ...expected } of sources) {
        const found = strokes().frames(start, stop);
        const gate = strokes().gate(start * hop_length, stop * hop_length);
        expect(difference(thinned(found.sources), numbers(expected.sources))).toBeLessThan(GAP);
        expect(difference(thinned(found.keys), numbers(expected.keys))).toBeLessThan(GAP);
        expect(thinned(gate)).toEqual(numbers(expected.gate));
      }
    });

    it("has the same strokes frame by frame", () => {
      const one = strokes();
      const whole = one.frames(40, 60).keys;
      const size = whole.length / 20;
      for (let frame = 40; frame < 60; frame++) {
        const own = whole.subarray((frame - 40) * size, (frame - 39) * size);
        expect(one.frames(frame, frame + 1).keys).toEqual(own);
      }
    });
  } else {
    const excitation = () => new BentExcitation(roll, sample_rate, hop_length, timing);

    it("has Python's pulses", () => {
      for (const { start, stop, ...expected } of sources) {
        const { nNotes, ...found } = excitation().frames(start, stop);
        expect(found.phase.length).toBe(nNotes * (stop - start));
        for (const [name, values] of Object.entries(found)) {
          const most = difference(values, numbers(expected[name]), name === "phase");
          expect(most).toBeLessThan(GAP);
        }
      }
    });

    it("has the same pulses frame by frame", () => {
      const one = excitation();
      const whole = one.frames(60, 76);
      expect(whole.nNotes).toBeGreaterThan(0);
      for (let frame = 60; frame < 76; frame++) {
        const { nNotes, step } = one.frames(frame, frame + 1);
        // The notes that ring in one frame ring in the whole, too.
        const steps = Array.from(
          { length: whole.nNotes },
          (_, i) => whole.step[16 * i + frame - 60],
        );
        for (let i = 0; i < nNotes; i++) expect(steps).toContain(step[i]);
      }
    });
  }
});

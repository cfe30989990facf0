import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { abilitiesOf } from "../src/engine/kinds";
import type { BundleConfig } from "../src/engine/bundle";
import { playable } from "../src/score/abilities";
import { parseMidi } from "../src/score/midi";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url));
const score = parseMidi(new Uint8Array(read("tests/web/golden/expressive.mid")));
const configOf = (model: string): BundleConfig =>
  JSON.parse(read(`src/timbrel/models/${model}/config.json`).toString());

it("a model of the piano's keys plays neither bends nor drums, and says so", () => {
  const { tracks, drumTracks, unplayable } = playable(score, abilitiesOf(configOf("mel2mel")));
  expect(tracks.map(({ name }) => name)).toEqual(["Violin", "Pad 1 (new age)", "Flute"]);
  expect(drumTracks).toHaveLength(2);
  expect(Object.keys(unplayable)).toEqual([
    "drum_notes",
    "fine_tunings",
    "modulation",
    "pitch_bends",
  ]);
  expect(tracks.flatMap(({ notes }) => notes).every(({ detune }) => detune === 0)).toBe(true);
  expect(score.tracks[1].notes.some(({ detune }) => detune !== 0)).toBe(true);
});

it("a model of all instruments plays them, but for keys that a kit lacks", () => {
  const { tracks, drumTracks, unplayable } = playable(
    score,
    abilitiesOf(configOf("mel2mel-studio")),
  );
  expect(tracks.map(({ isKit }) => isKit)).toEqual([false, false, false, true, true]);
  expect(tracks.slice(0, 3)).toEqual(score.tracks);
  expect(drumTracks).toEqual([]);
  const notes = score.drumTracks.flatMap((track) => track.notes).length;
  const played = tracks.slice(3).flatMap((track) => track.notes).length;
  expect(unplayable).toEqual({ drum_bends: 1, notes_of_lacking_keys: notes - played });
  expect(notes - played).toBe(4); // keys 5 and 120, twice
});

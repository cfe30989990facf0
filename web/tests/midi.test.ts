// One reading of MIDI: the page's is Python's, bit for bit. tests/web/make_golden.py writes the files.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseMidi } from "../src/score/midi";
import { MidiError } from "../src/score/smf";
import { PianoRoll, struckOnce } from "../src/score/roll";
import { leftOut, type Score, type Track } from "../src/score/score";

const FOLDER = new URL("../../tests/web/golden/", import.meta.url);
const names = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".mid"))
  .map((name) => name.slice(0, -4));

const bytes = (name: string) => new Uint8Array(readFileSync(new URL(`${name}.mid`, FOLDER)));

const described = (track: Track) => {
  const { notes, gain, pan, reverb, chorus, bend, tuning, vibrato, isKit, ...rest } = track;
  return {
    ...rest,
    is_kit: isKit,
    notes: notes.map(({ pitch, velocity, start, end, detune }) => [
      pitch,
      velocity,
      start,
      end,
      detune,
    ]),
    gain: [gain.times, gain.values],
    pan: pan && [pan.times, pan.values],
    reverb: [reverb.times, reverb.values],
    chorus: [chorus.times, chorus.values],
    bend: [bend.times, bend.values],
    tuning: [tuning.times, tuning.values],
    vibrato: [vibrato.times, vibrato.values],
  };
};

/** An error, or the SHA-256 of all numbers of a score and of all its words. */
function fingerprint(data: Uint8Array): string {
  const reading = read(data);
  if (typeof reading === "string") return reading;
  const numbers = [reading.pedalEvents];
  const words = [...reading.warnings];
  for (const [kind, count] of Object.entries(reading.unplayable)) {
    words.push(kind);
    numbers.push(count);
  }
  for (const track of [...reading.tracks, ...reading.drumTracks].map(described)) {
    words.push(track.name);
    numbers.push(track.program, track.port, track.channel, Number(track.is_kit));
    const { gain, pan, reverb, chorus, bend, tuning, vibrato } = track;
    for (const row of [...track.notes, ...gain, ...(pan ?? [])]) numbers.push(...row);
    for (const row of [...reverb, ...chorus, ...bend, ...tuning, ...vibrato]) numbers.push(...row);
  }
  const bytes = new Uint8Array(Float64Array.from(numbers).buffer);
  return createHash("sha256").update(bytes).update(words.join("\n")).digest("hex");
}

/** A score, or what is wrong with a file. */
function read(data: Uint8Array): Score | string {
  try {
    return parseMidi(data);
  } catch (error) {
    if (error instanceof MidiError) return error.message;
    throw error;
  }
}

describe("golden files", () => {
  it("are there", () => expect(names).toHaveLength(15));

  it.each(names)("%s is read as Python reads it", (name) => {
    const expected = JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), "utf-8"));
    const score = parseMidi(bytes(name));
    expect(score.pedalEvents).toBe(expected.pedal_events);
    expect(score.unplayable).toEqual(expected.unplayable);
    expect(score.warnings).toEqual(expected.warnings);
    expect(score.drumTracks.map(described)).toEqual(expected.drum_tracks);
    const found = score.tracks.map((track) => {
      const roll = new PianoRoll(track.notes, 125);
      const whole = new Float32Array(roll.nFrames * roll.nChannels);
      roll.window(0, roll.nFrames, whole);
      return {
        ...described(track),
        n_frames: roll.nFrames,
        roll_sha256: createHash("sha256").update(new Uint8Array(whole.buffer)).digest("hex"),
      };
    });
    expect(found).toEqual(expected.tracks);
  });

  it("that are damaged are read as Python reads them", () => {
    const mutants: { data: string; fingerprint: string }[] = JSON.parse(
      readFileSync(new URL("mutants.json", FOLDER), "utf-8"),
    );
    expect(mutants).toHaveLength(50);
    const found = mutants.map(({ data }) =>
      fingerprint(new Uint8Array(Buffer.from(data, "base64"))),
    );
    expect(found).toEqual(mutants.map((mutant) => mutant.fingerprint));
  });

  it("make the same roll window by window", () => {
    const [{ notes }] = parseMidi(bytes("pedal")).tracks;
    const roll = new PianoRoll(notes, 125);
    const whole = new Float32Array(roll.nFrames * roll.nChannels);
    roll.window(0, roll.nFrames, whole);
    const parts = new Float32Array(whole.length);
    for (let start = 0; start < roll.nFrames; start += 7) {
      const stop = Math.min(start + 7, roll.nFrames);
      roll.window(start, stop, parts.subarray(start * roll.nChannels, stop * roll.nChannels));
    }
    expect(parts).toEqual(whole);
  });
});

it("of notes that strike a key in one frame one remains", () => {
  const note = (pitch: number, start: number, end: number, velocity: number) => ({
    pitch,
    start,
    end,
    velocity,
    detune: 0,
  });
  const notes = [
    note(60, 0.1, 0.4, 50),
    note(60, 0.1025, 0.2, 90),
    note(61, 0.1025, 0.2, 80),
    note(60, 0.3, 0.5, 70),
  ];
  expect(struckOnce(notes, 125)).toEqual([note(60, 0.1, 0.4, 90), notes[2], notes[3]]);
  expect(struckOnce(notes, 1000)).toEqual(notes);
});

describe("files that are no music", () => {
  const said = (data: Uint8Array) => {
    const reading = read(data);
    return typeof reading === "string" ? reading : "nothing";
  };
  const text = (words: string) => new TextEncoder().encode(words);

  it("are refused in words", () => {
    expect(said(text(""))).toMatch("is empty");
    expect(said(text("Dear diary"))).toMatch("is not a MIDI file");
    expect(said(text("MThd"))).toMatch("is cut off");
    expect(said(bytes("pedal").slice(0, 23))).toMatch("is cut off");
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
  const more = leftOut(parseMidi(bytes("unplayable")));
  for (const word of ["channel pressure", "key pressure", "other effects", "soft pedal"]) {
    expect(more).toMatch(word);
  }
});

it("what is wrong with a file is said", () => {
  const words = leftOut(parseMidi(bytes("damaged")));
  expect(words).toMatch("7 bytes before the MIDI header were passed over");
  expect(words).toMatch("the header says 9 tracks, the file holds 5");
  expect(leftOut(parseMidi(bytes("in-riff")))).toBe("");
});

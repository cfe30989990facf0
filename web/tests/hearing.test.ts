// What is heard in a sound equals what Python hears in it: tests/web/hearing_golden.py.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import constants from "../src/constants.json";
import type { Instrument } from "../src/engine/bundle";
import { ort } from "../src/engine/runtime";
import { cloudOf } from "../src/hearing/cloud";
import { Encoder, windowStarts, type EncoderConfig } from "../src/hearing/encoder";
import { sampleRateOf } from "../src/hearing/file_rate";
import { foundTimbre } from "../src/hearing/found";
import { cholesky, inverse, spreadOf, times, weightedMean } from "../src/hearing/linear";
import { MelSpectrogram } from "../src/hearing/mel_spectrogram";
import { openEncoder, openTranscriber } from "../src/hearing/networks";
import { lookInto } from "../src/hearing/recording";
import { joined } from "../src/audio/joined";
import { resampled, Resampling } from "../src/hearing/resampling";
import { Spectra } from "../src/hearing/spectra";
import { isFar, isNothing, nearest, notesInWords, surenessOf } from "../src/hearing/words";
import { NoteDecoder, type BegunNote, type HeardNote } from "../src/transcription/decoding";
import { FrontEnd } from "../src/transcription/front_end";
import { midiFile } from "../src/transcription/midi_file";
import { described, Transcriber } from "../src/transcription/transcriber";
import {
  FRAME,
  latencyOf,
  N_HEADS,
  ONSET,
  type TranscriberConfig,
} from "../src/transcription/sizes";
import { noteLatencyOf } from "../src/transcription/stream";

const ROOT = join(import.meta.dirname, "..", "..");
const MODELS = join(ROOT, "src", "timbrel", "models");
const RUNTIME = join(ROOT, "web/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm");
const golden = JSON.parse(readFileSync(join(ROOT, "tests/web/golden/hearing.json"), "utf8"));
const told = async () => {};

function bundle(name: string) {
  const file = (part: string) => new Uint8Array(readFileSync(join(MODELS, name, part)));
  const config = JSON.parse(new TextDecoder().decode(file("config.json")));
  const files = Object.fromEntries(
    [`${name}.onnx`, "weights.safetensors"].map((part) => [part, file(part)]),
  );
  return { config, files };
}

function numbers(text: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
}

/** The sound of which Python has the same. */
function sound(rate: number): Float32Array {
  const { duration_s, harmonics, attack_s, decay_per_s, note_s, notes } = golden.sound;
  const audio = new Float64Array(Math.round(duration_s * rate));
  for (const [start, pitch, level, rise] of notes) {
    const first = Math.round(start * rate);
    const hz = 440 * 2 ** ((pitch - 69) / 12);
    for (let i = 0; i < Math.round(note_s * rate) && first + i < audio.length; i++) {
      const t = i / rate;
      const cycles = hz * (t + ((2 ** (rise / 12) - 1) * t * t) / 2);
      const envelope = level * Math.min(t / attack_s, 1) * Math.exp(-decay_per_s * t);
      for (let h = 1; h <= harmonics; h++) {
        audio[first + i] += (envelope * Math.sin(2 * Math.PI * h * cycles)) / h;
      }
    }
  }
  return Float32Array.from(audio);
}

function farthest(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(found.length).toBe(wanted.length);
  return Array.from(found).reduce(
    (most, value, i) => Math.max(most, Math.abs(value - wanted[i])),
    0,
  );
}

interface PythonsNote {
  pitch: number;
  start_s: number;
  end_s: number;
  velocity: number;
  confidence: number;
  cents: number;
  bend_cents: number[];
}

/** @param seconds,cents how far times and bends may be from Python's */
function expectSameNotes(
  found: HeardNote[],
  wanted: PythonsNote[],
  seconds: number,
  cents: number,
) {
  expect(found.map(({ pitch }) => pitch)).toEqual(wanted.map(({ pitch }) => pitch));
  found.forEach((note, i) => {
    expect(Math.abs(note.startS - wanted[i].start_s)).toBeLessThan(seconds);
    expect(Math.abs(note.endS - wanted[i].end_s)).toBeLessThan(seconds);
    expect(Math.abs(note.velocity - wanted[i].velocity)).toBe(0);
    expect(Math.abs(note.confidence - wanted[i].confidence)).toBeLessThan(seconds);
    expect(Math.abs(note.cents - wanted[i].cents)).toBeLessThan(cents);
    expect(farthest(note.bendCents, wanted[i].bend_cents)).toBeLessThan(cents);
  });
}

beforeAll(() => {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = readFileSync(RUNTIME).buffer as ArrayBuffer;
});

it("a transform of three times a power of two finds the powers of two signals", () => {
  const n = 48;
  const wave = (k: number, level: number) =>
    Float64Array.from({ length: n }, (_, i) => level * Math.sin((2 * Math.PI * k * i) / n));
  const into: [Float64Array, Float64Array] = [new Float64Array(25), new Float64Array(25)];
  new Spectra(n).powers([wave(5, 1), wave(17, 0.5)], into);
  const wanted = (k: number, level: number) =>
    Array.from({ length: 25 }, (_, bin) => (bin === k ? ((level * n) / 2) ** 2 : 0));
  expect(farthest(into[0], wanted(5, 1))).toBeLessThan(1e-9);
  expect(farthest(into[1], wanted(17, 0.5))).toBeLessThan(1e-9);
});

it("a matrix times its inverse is one, and its factor times itself the matrix", () => {
  const matrix = [[4, 1, 0.5], [1, 3, -0.2], [0.5, -0.2, 2]]; // prettier-ignore
  const back = inverse(matrix).map((row) => times(matrix, row));
  back.forEach((row, i) => row.forEach((value, j) => expect(value).toBeCloseTo(Number(i === j))));
  const factor = cholesky(matrix);
  factor.forEach((row, i) => expect(times(factor, row)[i]).toBeCloseTo(matrix[i][i]));
});

it("recordings are looked through as in Python", () => {
  for (const { rate, channels, is_silent, remarks, mono } of golden.recordings) {
    const found = lookInto(channels.map(numbers), rate);
    expect(found.remarks).toEqual(remarks);
    expect(found.isSilent).toBe(is_silent);
    if (!is_silent) expect(farthest(found.audio, numbers(mono))).toBeLessThan(1e-6);
  }
});

it("sound is resampled as in Python, to 80 dB below its peak", () => {
  const { first, every, by_rate } = golden.resampled;
  for (const [rate, text] of Object.entries<string>(by_rate)) {
    const wanted = numbers(text);
    const found = resampled(sound(golden.sound.rate), golden.sound.rate, Number(rate));
    const thin = wanted.map((_, i) => found[first + every * i]);
    expect(farthest(thin, wanted)).toBeLessThan(1e-4 * Math.max(...wanted));
  }
});

it("sound is resampled alike in blocks of any length", () => {
  const audio = sound(golden.sound.rate).subarray(0, 9000);
  for (const [from, to] of [
    [44100, 16000],
    [16000, 44100],
    [48000, 16000],
    [16000, 16000],
  ]) {
    // prettier-ignore
    const wanted = resampled(audio, from, to);
    for (const size of [64, 1000]) {
      const stream = new Resampling(from, to);
      const blocks: Float32Array[] = [];
      for (let at = 0; at < audio.length; at += size) {
        blocks.push(stream.push(audio.subarray(at, at + size)));
        const given = blocks.reduce((sum, { length }) => sum + length, 0);
        const lateS = Math.min(at + size, audio.length) / from - given / to;
        expect(lateS).toBeLessThan(stream.latencyS + 1 / to);
      }
      expect(farthest(joined(...blocks, stream.finish()), wanted)).toBe(0);
    }
  }
});

it("mels and spectra are Python's", () => {
  const { mel } = bundle("encoder").config as EncoderConfig;
  const [first, last] = golden.mel.frames;
  const found = new MelSpectrogram(mel).of(sound(mel.sample_rate), first, last);
  // Python's transform is in single precision, which is heard near the floor.
  const wanted = numbers(golden.mel.values);
  const magnitudes = [found, wanted].map((values) => values.map(Math.exp));
  expect(farthest(magnitudes[0], magnitudes[1])).toBeLessThan(1e-4);
  wanted.forEach((value, i) => {
    if (value > -7) expect(Math.abs(found[i] - value)).toBeLessThan(2e-3);
  });
  expect(wanted.filter((value) => value > -7).length).toBeGreaterThan(1000);
  const { model } = bundle("transcriber").config as TranscriberConfig;
  const [from, to] = golden.spectra.frames;
  // In pieces, for their length changes nothing: here as many frames as those before the wanted ones.
  const frontEnd = new FrontEnd(model);
  const audio = sound(model.sample_rate);
  const begin = (from - 1) * model.hop_length + Math.max(...model.windows) / 2;
  expect(frontEnd.push(audio.subarray(0, begin)).length).toBe(model.windows.length * from * frontEnd.nBands); // prettier-ignore
  const spectra = frontEnd.push(audio.subarray(begin, begin + (to - from) * model.hop_length));
  expect(farthest(spectra, numbers(golden.spectra.values))).toBeLessThan(1e-4);
});

it("windows overlap by half, and the last one ends with the sound", () => {
  expect(windowStarts(1, 500)).toEqual([0]);
  expect(windowStarts(500, 500)).toEqual([0]);
  expect(windowStarts(749, 500)).toEqual([0, 249]);
  expect(windowStarts(750, 500)).toEqual([0, 250]);
  expect(windowStarts(1201, 500)).toEqual([0, 250, 500, 701]);
});

it("the timbre of a sound is Python's: place, doubt and instruments", async () => {
  const { config, files } = bundle("encoder");
  const instruments: Instrument[] = config.instruments;
  const points = instruments.map(({ embedding }) => embedding);
  const encoder = new Encoder(config, points, await openEncoder(files));
  const { rate } = golden.sound;
  for (const [audio, wanted, tolerance] of [
    [resampled(sound(rate), rate, config.mel.sample_rate), golden.timbre, 1e-3],
    [new Float32Array(100), golden.short, 1e-4],
  ] as const) {
    const windows = await encoder.hear(audio, told);
    if (wanted.windows) expect(windows.length).toBe(wanted.windows);
    const found = foundTimbre(windows, points, encoder.shared);
    expect(farthest(found.point, wanted.point)).toBeLessThan(tolerance);
    expect(farthest(found.covariance.flat(), wanted.covariance.flat())).toBeLessThan(tolerance);
    for (const [name, probability] of wanted.instruments) {
      const at = instruments.findIndex((one) => one.name === name);
      expect(Math.abs(found.probabilities[at] - probability)).toBeLessThan(tolerance);
    }
    for (const key of ["nothing", "sureness", "distance", "neighbours"] as const) {
      expect(Math.abs(found[key] - wanted[key])).toBeLessThan(tolerance);
    }
  }
});

it("the notes of a sound are Python's", async () => {
  const { config, files } = bundle("transcriber");
  const transcriber = new Transcriber(config, await openTranscriber(files));
  const { rate } = golden.sound;
  const audio = resampled(sound(rate), rate, config.sample_rate);
  const found = await transcriber.hear(audio, told);
  expect(found.frameRate).toBe(golden.notes.frame_rate);
  expect(Math.abs(found.tuningCents - golden.notes.tuning_cents)).toBeLessThan(0.01);
  expectSameNotes(found.notes, golden.notes.notes, 1e-3, 0.2);
});

it("a stream in blocks of any length is heard as the whole, as late as stated", async () => {
  const size = 2899;
  const { config, files } = bundle("transcriber");
  const transcriber = new Transcriber(config as TranscriberConfig, await openTranscriber(files));
  const { rate } = golden.sound;
  const audio = sound(rate);
  const resampling = new Resampling(rate, config.model.sample_rate);
  const begun: (BegunNote & { lateS: number })[] = [];
  const ended = new Map<number, HeardNote>();
  let heardS = 0;
  const stream = transcriber.listen({
    begun: (note) => begun.push({ ...note, lateS: heardS - note.startS }),
    ended: (number, note) => ended.set(number, note),
    longestS: Infinity,
  });
  const notes: HeardNote[] = [];
  for (let first = 0; first < audio.length; first += size) {
    const block = audio.subarray(first, first + size);
    heardS = (first + block.length) / rate;
    notes.push(...(await stream.push(resampling.push(block))));
  }
  const nLive = begun.length;
  notes.push(...(await stream.push(resampling.finish())), ...(await stream.finish()));
  const frameRate: number = golden.notes.frame_rate;
  const found = described(notes, frameRate);
  expect(Math.abs(found.tuningCents - golden.notes.tuning_cents)).toBeLessThan(0.01);
  expectSameNotes(found.notes, golden.notes.notes, 1e-3, 0.2);
  // Each note was told when it began, with what is said of it in the end.
  expect(begun).toHaveLength(notes.length);
  for (const { number, pitch, startS, velocity } of begun) {
    expect(ended.get(number)).toMatchObject({ pitch, startS, velocity });
  }
  // The mean time of an onset lies within a frame of the peak's.
  const latencyS = noteLatencyOf(config) + resampling.latencyS;
  const { peakFrames } = constants.transcription;
  expect(noteLatencyOf(config) - latencyOf(config.model)).toBeCloseTo(peakFrames / frameRate);
  for (const { lateS } of begun.slice(0, nLive)) {
    expect(lateS).toBeGreaterThan(latencyS - 1 / frameRate - 1 / rate);
    expect(lateS).toBeLessThan(latencyS + 1 / frameRate + size / rate);
  }
  expect(nLive).toBeGreaterThan(5);
});

it("a note that does not end is ended, and told so", () => {
  const frame = new Float32Array(88 * N_HEADS);
  const key = 40;
  const [frameRate, longestS] = [50, 2];
  const ended: HeardNote[] = [];
  const watcher = { begun() {}, ended: (_: number, note: HeardNote) => ended.push(note), longestS };
  const decoder = new NoteDecoder(frameRate, { onset: 0.3, frame: 0.3, offset: 0.4 }, watcher);
  frame[key * N_HEADS + FRAME] = 1;
  const onset = frame.slice();
  onset[key * N_HEADS + ONSET] = 1;
  decoder.push(onset);
  for (let i = 0; i < 2 * longestS * frameRate; i++) decoder.push(frame);
  expect(ended).toHaveLength(1);
  expect(ended[0].endS - ended[0].startS).toBeCloseTo(longestS, 1);
  expect(decoder.finish()).toEqual([]);
});

it("notes are decoded and written to MIDI as in Python, to the byte", () => {
  const { thresholds, n_frames, keys, values, ...wanted } = golden.decoded;
  const heads = 5;
  const whole = new Float32Array(n_frames * 88 * heads);
  const given = numbers(values);
  for (let frame = 0; frame < n_frames; frame++) {
    keys.forEach((key: number, i: number) => {
      const from = (frame * keys.length + i) * heads;
      whole.set(given.subarray(from, from + heads), (frame * 88 + key) * heads);
    });
  }
  const decoder = new NoteDecoder(wanted.frame_rate, thresholds);
  // In pieces, for their length changes nothing.
  const half = 88 * heads * 61;
  const notes = [...decoder.push(whole.subarray(0, half)), ...decoder.push(whole.subarray(half))];
  const found = described([...notes, ...decoder.finish()], wanted.frame_rate);
  expectSameNotes(found.notes, wanted.notes, 1e-9, 1e-9);
  expect(found.tuningCents).toBeCloseTo(wanted.tuning_cents, 9);
  expect(Buffer.from(midiFile(found)).toString("base64")).toBe(wanted.midi);
});

it("a file says its sample rate", () => {
  const bytes = (
    text: string,
    size: number,
    at: number,
    set: (view: DataView, at: number) => void,
  ) => {
    const file = new Uint8Array(size);
    file.set(Buffer.from(text, "latin1"));
    set(new DataView(file.buffer), at);
    return file;
  };
  const little = (view: DataView, at: number) => view.setUint32(at, 44100, true);
  const wav = `RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0\x02\0`;
  expect(sampleRateOf(bytes(wav, 64, 36, little))).toBe(44100);
  expect(sampleRateOf(bytes("fLaC", 42, 18, (view, at) => view.setUint32(at, (48000 << 12) >>> 0)))).toBe(48000); // prettier-ignore
  const ogg = `OggS${"\0".repeat(24)}\x01vorbis\0\0\0\0\x02`;
  expect(sampleRateOf(bytes(ogg, 64, 40, little))).toBe(44100);
  // Rates that browsers do not decode to, and other files.
  expect(sampleRateOf(bytes(wav, 64, 36, (view, at) => view.setUint32(at, 4000, true)))).toBe(null);
  expect(sampleRateOf(new TextEncoder().encode("RIFF, as a text"))).toBe(null);
});

it("a cloud has the mean and the covariance of what it is drawn from", () => {
  const covariance = [[0.5, 0.2], [0.2, 0.3]]; // prettier-ignore
  const points = cloudOf({ mean: [1, -2], covariance }, 4000);
  const even = points.map(() => 1 / points.length);
  const mean = weightedMean(points, even);
  expect(farthest(mean, [1, -2])).toBeLessThan(0.05);
  expect(farthest(spreadOf(points, even, mean).flat(), covariance.flat())).toBeLessThan(0.05);
});

it("what was heard is said as the command line says it", () => {
  const found = { point: [], covariance: [], probabilities: [0.2, 0.03, 0.6], nothing: 0.17, sureness: 0.6, distance: 1, neighbours: 2 }; // prettier-ignore
  expect(nearest(found, ["harp", "oboe", "flute"])).toEqual([
    { name: "flute", probability: 0.6 },
    { name: "harp", probability: 0.2 },
    { name: "no instrument", probability: 0.17 },
  ]);
  expect(surenessOf(found)).toBe("60 % sure (fairly sure)");
  expect([isFar(found), isNothing(found)]).toEqual([false, false]);
  expect([isFar({ ...found, distance: 3 }), isNothing({ ...found, nothing: 0.6 })]).toEqual([true, true]); // prettier-ignore
  const note = { pitch: 60, startS: 0, endS: 1, velocity: 9, confidence: 1, cents: 0 };
  const notes = [
    { ...note, bendCents: [] },
    { ...note, bendCents: [30, 60] },
  ];
  const heard = { notes, frameRate: 62.5, tuningCents: -3.4 };
  expect(notesInWords(heard)).toBe("2 notes, 1 of them bent, tuned −3 cents from A = 440 Hz");
  const one = { ...heard, notes: notes.slice(0, 1), tuningCents: 0 };
  expect(notesInWords(one)).toBe("1 note, tuned +0 cents from A = 440 Hz");
});

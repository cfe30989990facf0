import { expect, it } from "vitest";
import { HEADER, openRing, newRing, RING_SIZE, writeRing } from "../src/audio/ring";
import { Resampler } from "../src/audio/resampler";
import { wavFile, WavWriter } from "../src/audio/wav";
import { Excitation } from "../src/engine/excitation";
import { Fft } from "../src/engine/fft";
import { GriffinLim } from "../src/engine/griffin_lim";
import { melBands } from "../src/engine/mel_bands";
import { Mixer } from "../src/engine/mixer";
import { Output } from "../src/engine/output";
import { roundHalfEven } from "../src/engine/rounding";
import { PianoRoll } from "../src/score/roll";
import { plainTrack } from "../src/score/score";

const track = plainTrack("");
const mel = { sample_rate: 16000, hop_length: 128, n_fft: 1024, n_mels: 80, f_min_hz: 0, f_max_hz: 8000, floor: 1e-5 }; // prettier-ignore
const sine = (n: number, hz: number, rate: number, level = 1) =>
  Float32Array.from({ length: n }, (_, i) => level * Math.sin((2 * Math.PI * hz * i) / rate));

it("a ring is written around its end", () => {
  const ring = openRing(newRing(false));
  const ramp = Float32Array.from({ length: 10 }, (_, i) => i + 1);
  writeRing(ring, RING_SIZE - 4, ramp, ramp);
  expect([...ring.left.subarray(RING_SIZE - 4)]).toEqual([1, 2, 3, 4]);
  expect([...ring.right.subarray(0, 7)]).toEqual([5, 6, 7, 8, 9, 10, 0]);
});

it("new sound fades in over old, and what the listener has passed is left out", () => {
  const output = new Output(null);
  output.setRate(16000);
  const ones = new Float32Array(4000).fill(1);
  expect(output.write(0, [ones, ones], "cut")).toBe(0);
  const zeros = new Float32Array(4000);
  output.play(true);
  const start = output.write(0, [zeros, zeros], "change");
  expect(start).toBe(output.soonest);
  expect(start).toBeGreaterThan(0);
  expect(output.end).toBe(4000);
  output.finish(2000);
  expect(output.end).toBe(2000);
  // Where nothing was written yet, nothing is left out.
  expect(output.write(2000, [zeros, zeros], "change")).toBe(2000);
});

it("sound of another rate begins where it is written first, and fades into nothing", () => {
  const shared = newRing(false) as unknown as SharedArrayBuffer;
  const output = new Output(shared);
  const { header, left } = openRing(shared);
  const ones = new Float32Array(4000).fill(1);
  output.setRate(16000);
  output.write(0, [ones, ones], "cut");
  expect([header[HEADER.rate], header[HEADER.turn]]).toEqual([16000, 0]);
  output.setRate(48000);
  expect(header[HEADER.rate]).toBe(16000);
  const twos = new Float32Array(4000).fill(2);
  output.write(3000, [twos, twos], "change");
  expect([header[HEADER.rate], header[HEADER.turn]]).toEqual([48000, 3000]);
  expect([left[2999], left[3000], left[6999]]).toEqual([1, 2, 2]);
});

it("resampling keeps a sine", () => {
  for (const rate of [44100, 48000, 11025]) {
    const ring = sine(8192, 1000, 16000);
    const resampler = new Resampler(16000, rate);
    let worst = 0;
    for (let i = 0; i < 2000; i++) {
      const at = 100 + i * resampler.ratio;
      const value = resampler.at(ring, Math.floor(at), at % 1);
      worst = Math.max(worst, Math.abs(value - Math.sin((2 * Math.PI * 1000 * at) / 16000)));
    }
    expect(worst).toBeLessThan(2e-3);
  }
});

it("a mix is the sum of its tracks, and without any of them silence", () => {
  const mixer = new Mixer([track, track], 16000);
  const sound = sine(2000, 440, 16000, 0.3);
  const [left, right] = mixer.process(sound, [0, 1], 1000, 0).sound;
  left.forEach((value, i) => expect(value).toBeCloseTo(sound[i] + sound[1000 + i], 6));
  right.forEach((value, i) => expect(value).toBeCloseTo(left[i], 6));
  const [silence] = mixer.process(new Float32Array(0), [], 1000, 0).sound;
  expect(silence.length).toBe(1000);
  expect(silence.every((value) => value === 0)).toBe(true);
});

it("a note's pulses begin at its onset and fade with its release", () => {
  const roll = new PianoRoll([{ pitch: 69, velocity: 127, start: 0.1, end: 0.5, detune: 0 }], 125);
  const frames = new Excitation(roll, 16000, 128, 0.002).frames(12, 80);
  expect(frames.nNotes).toBe(1);
  expect(frames.step[0]).toBeCloseTo(440 / 16000, 7);
  expect(frames.harmonics[0]).toBe(17);
  expect(frames.first[0]).toBe(64); // 0.1 s is in the middle of frame 12
  expect(frames.gain[3]).toBeCloseTo(1, 2);
  expect(frames.gain[67 * 3]).toBeLessThan(0.2); // 40 ms after the release, and the one that is held
  expect(new Excitation(roll, 16000, 128, 0.002).frames(400, 416).nNotes).toBe(0);
});

it("the Fourier transform finds a cosine and comes back", () => {
  const re = Float64Array.from({ length: 64 }, (_, i) => Math.cos((2 * Math.PI * 5 * i) / 64));
  const im = new Float64Array(64);
  const before = re.slice();
  const fft = new Fft(64);
  fft.forward(re, im);
  expect(re[5]).toBeCloseTo(32);
  expect(re[59]).toBeCloseTo(32);
  expect(re[6]).toBeCloseTo(0);
  fft.inverse(re, im);
  re.forEach((value, i) => expect(value / 64).toBeCloseTo(before[i]));
});

it("Griffin-Lim gives a hop of sound for each hop, of the mel's pitch and level", async () => {
  const vocoder = new GriffinLim(mel);
  const bands = melBands(mel);
  // A steady tone at bin 64 (1000 Hz), as a Hann window of 1024 sees one of amplitude 0.1.
  const magnitudes = [63, 64, 65].map((bin) => [bin, 0.1 * (bin === 64 ? 256 : 128)]);
  const frame = bands.map(({ first, weights }) =>
    Math.log(
      Math.max(
        1e-5,
        magnitudes.reduce((sum, [bin, m]) => sum + (weights[bin - first] ?? 0) * m, 0),
      ),
    ),
  );
  const hop = Float32Array.from({ length: 16 * 80 }, (_, i) => frame[i % 80]);
  const roll = new PianoRoll([], 125);
  const ensemble = { tracks: [0], rolls: [roll] };
  let state = await vocoder.start(ensemble);
  const out: number[] = [];
  for (let i = 0; i < 16; i++) {
    const step = await vocoder.step(ensemble, hop, 16 * i, state);
    state = step.state;
    expect(step.audio.length).toBe(16 * 128);
    out.push(...step.audio);
  }
  const steady = out.slice(-8192);
  const level = Math.sqrt(steady.reduce((sum, value) => sum + value * value, 0) / steady.length);
  expect(level).toBeGreaterThan(0.04);
  expect(level).toBeLessThan(0.1);
  let crossings = 0;
  for (let i = 1; i < steady.length; i++) crossings += steady[i - 1] < 0 && steady[i] >= 0 ? 1 : 0;
  expect(Math.abs(crossings / (8192 / 16000) - 1000)).toBeLessThan(40);
});

it("rounds as Python does", () => {
  expect([0.5, 1.5, 2.5, 2.4999, 3.7].map(roundHalfEven)).toEqual([0, 2, 2, 2, 4]);
});

it("a WAV file says what it holds", async () => {
  const wav = wavFile([new Float32Array([0, 1, -2]), new Float32Array([0.5, 0, 0])], 16000);
  const view = new DataView(await wav.arrayBuffer());
  expect(view.getUint32(24, true)).toBe(16000);
  expect(view.getUint32(40, true)).toBe(12);
  expect([44, 46, 48, 52].map((at) => view.getInt16(at, true))).toEqual([0, 16384, 32767, -32768]);
});

it("a long WAV file is in order", async () => {
  const writer = new WavWriter(16000);
  const block = 500_000;
  for (let i = 0; i < 5; i++) {
    const level = new Float32Array(block).fill(i / 8);
    writer.add([level, level]);
  }
  const view = new DataView(await writer.finish().arrayBuffer());
  expect(view.byteLength).toBe(44 + 5 * block * 4);
  const found = Array.from({ length: 5 }, (_, i) => view.getInt16(44 + (i + 1) * block * 4 - 2, true)); // prettier-ignore
  expect(found).toEqual([0, 4096, 8192, 12288, 16384]);
});

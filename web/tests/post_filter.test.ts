import { expect, it } from "vitest";
import { MelSpectrogram } from "../src/hearing/mel_spectrogram";
import { joined } from "../src/audio/joined";
import type { BundleConfig, MelGeometry } from "../src/engine/bundle";
import { PostFiltered, postFiltered } from "../src/engine/post_filter";
import type { Vocoder } from "../src/engine/vocoder";
import { PianoRoll } from "../src/score/roll";

const mel: MelGeometry = { sample_rate: 16000, hop_length: 128, n_fft: 1024, n_mels: 80, f_min_hz: 0, f_max_hz: 8000, floor: 1e-5 }; // prettier-ignore
const N_FRAMES = 120;
const N = N_FRAMES * mel.hop_length;
const PASS_LATENCY = 7;
const ensemble = (n: number) => ({
  tracks: Array.from({ length: n }, (_, i) => i),
  rolls: Array.from({ length: n }, () => new PianoRoll([], 125)),
});

function tone(hz: number): Float32Array {
  const at = (i: number) => (2 * Math.PI * hz * i) / mel.sample_rate;
  return Float32Array.from({ length: N }, (_, i) => 0.2 * Math.sin(at(i)) * Math.exp(-i / 8000));
}

function noise(level: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: N }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return level * (state / 2 ** 31 - 1);
  });
}

/** Gives its sounds, of one track each, two frames late. */
function recorded(sounds: Float32Array[]): Vocoder<number> {
  return {
    mel,
    latencyFrames: 2,
    start: async () => -2 * mel.hop_length,
    async step(_ensemble, given, _frame, at) {
      const n = (given.length / sounds.length / mel.n_mels) * mel.hop_length;
      const rows = sounds.map((sound) => Float32Array.from({ length: n }, (_, i) => sound[at + i] ?? 0)); // prettier-ignore
      return { audio: joined(...rows), state: at + n };
    },
  };
}

async function filtered(
  sounds: Float32Array[],
  target: Float32Array,
  passes: number,
  frames: number,
): Promise<Float32Array[]> {
  const n = sounds.length;
  const vocoder = new PostFiltered(recorded(sounds), passes);
  expect(vocoder.latencyFrames).toBe(2 + passes * PASS_LATENCY);
  const played = ensemble(n);
  let state = await vocoder.start(played, 0);
  const parts: Float32Array[][] = sounds.map(() => []);
  for (let frame = 0; frame < N_FRAMES + vocoder.latencyFrames; frame += frames) {
    const part = new Float32Array(frames * mel.n_mels).fill(Math.log(mel.floor));
    part.set(target.subarray(frame * mel.n_mels, (frame + frames) * mel.n_mels));
    const step = await vocoder.step(played, joined(...sounds.map(() => part)), frame, state);
    state = step.state;
    expect(step.audio.length).toBe(n * frames * mel.hop_length);
    parts.forEach((row, i) => {
      row.push(step.audio.slice((i * step.audio.length) / n, ((i + 1) * step.audio.length) / n));
    });
  }
  const late = vocoder.latencyFrames * mel.hop_length;
  return parts.map((row) => {
    const all = joined(...row);
    expect(Math.max(...all.subarray(0, late).map(Math.abs))).toBe(0);
    return all.subarray(late, late + N);
  });
}

const spectrogram = new MelSpectrogram(mel);
const original = tone(440);
const target = spectrogram.of(original, 0, N_FRAMES);
const hiss = noise(0.01);
const noisy = original.map((value, i) => value + hiss[i]);

function melError(sound: Float32Array): number {
  const found = spectrogram.of(sound, 8, N_FRAMES - 8);
  const wanted = target.subarray(8 * mel.n_mels);
  return found.reduce((sum, value, i) => sum + Math.abs(value - wanted[i]), 0) / found.length;
}

it("each pass brings a sound nearer to its mel", async () => {
  const errors = [melError(noisy)];
  for (const passes of [1, 3]) {
    const [sound] = await filtered([noisy], target, passes, 10);
    errors.push(melError(sound));
  }
  expect(errors[0]).toBeGreaterThan(1.5);
  expect(errors[1]).toBeLessThan(errors[0] / 3);
  expect(errors[2]).toBeLessThan(errors[1]);
});

it("a sound that is right stays as it is, in its own track, whatever the steps", async () => {
  const [right, wrong] = await filtered([original, noisy], target, 2, 7);
  const [alone] = await filtered([noisy], target, 2, 40);
  for (let i = 0; i < N; i += 97) {
    if (i < N - mel.n_fft) expect(right[i]).toBeCloseTo(original[i], 4);
    expect(wrong[i]).toBeCloseTo(alone[i], 6);
  }
});

it("a bundle says how often", () => {
  const plain = recorded([original]);
  expect(postFiltered(plain, { mel } as BundleConfig)).toBe(plain);
  const config = { mel, post_filter: { passes: 3 } } as BundleConfig;
  expect(postFiltered(plain, config).latencyFrames).toBe(2 + 3 * PASS_LATENCY);
});

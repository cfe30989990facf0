import { expect, it } from "vitest";
import type { BundleConfig, MelGeometry } from "../src/engine/bundle";
import { tensors } from "../src/engine/safetensors";
import { framesOfSilence, normalised, precisionOf, WaveNet } from "../src/engine/wavenet";
import { PianoRoll } from "../src/score/roll";
import { timeLeft } from "../src/ui/time_left";

const mel: MelGeometry = { sample_rate: 16000, hop_length: 4, n_fft: 16, n_mels: 2, f_min_hz: 0, f_max_hz: 8000, floor: 1e-5 }; // prettier-ignore

it("weights are read by their names", () => {
  const header = JSON.stringify({
    __metadata__: { format: "np" },
    a: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
    b: { dtype: "F32", shape: [1, 1], data_offsets: [8, 12] },
  });
  // A header of any length: numbers need not lie at multiples of four.
  const file = new Uint8Array(8 + header.length + 12);
  const view = new DataView(file.buffer);
  view.setBigUint64(0, BigInt(header.length), true);
  file.set(new TextEncoder().encode(header), 8);
  [1.5, -2, 3].forEach((value, i) => view.setFloat32(8 + header.length + 4 * i, value, true));
  const found = tensors(file);
  expect(Object.keys(found)).toEqual(["a", "b"]);
  expect([...found.a, ...found.b]).toEqual([1.5, -2, 3]);
});

it("mels are brought to where WaveNets want them", () => {
  const floor = Math.fround(Math.log(mel.floor));
  const found = normalised(Float32Array.of(floor, 0, floor / 2), mel);
  [-1, 1, 0].forEach((wanted, i) => expect(found[i]).toBeCloseTo(wanted, 6));
});

it("levels are drawn as fast as can be, amplitudes with all digits", () => {
  const sizes = { dilations: [1], kernel_size: 2, input_taps: 0, n_mels: 2, hop_length: 4, n_around: 4 }; // prettier-ignore
  const build = { file: "wavenet.wasm", precision: "int8" as const };
  expect(precisionOf({ ...sizes, output: "categorical" }, build)).toBe("int8");
  expect(precisionOf({ ...sizes, output: "gaussian" }, build)).toBe("float32");
});

it("a stream begins with silence, as long as it remembers", () => {
  const sizes = { dilations: [1, 2, 4], kernel_size: 2, n_mels: 2, hop_length: 4, n_around: 4 };
  expect(framesOfSilence({ ...sizes, input_taps: 0 })).toBe(2);
  expect(framesOfSilence({ ...sizes, input_taps: 2 })).toBe(3);
});

it("hops of mel become hops of sound, two frames later, of each track", async () => {
  // Draws the numbers of its samples, plus a thousand for the second stream.
  let fed = 0;
  let drawn = 0;
  let forced: number[] = [];
  let closed = false;
  const session = {
    nStreams: 2,
    get ready() {
      return Math.max((fed - 3) * mel.hop_length - forced.length / 2 - drawn, 0);
    },
    feed: (given: Float32Array) => void (fed += given.length / 2 / mel.n_mels),
    sample(n: number) {
      expect(n).toBeLessThanOrEqual(session.ready);
      drawn += n;
      return Float32Array.from({ length: 2 * n }, (_, i) => drawn - n + (i % n) + (i < n ? 0 : 1000)); // prettier-ignore
    },
    force(samples: Float32Array) {
      forced = [...forced, ...samples];
      return samples;
    },
    close: () => void (closed = true),
  };
  const engine = { session: () => session, close: () => {} };
  const sizes = { n_around: 4, dilations: [1, 2], kernel_size: 2, input_taps: 0, hop_length: 4 };
  const config = { mel, engine: { ...sizes, n_parameters: 256 } } as unknown as BundleConfig;
  const waveNet = new WaveNet(config, engine);
  expect(waveNet.latencyFrames).toBe(2);
  const ensemble = { tracks: [0, 1], rolls: [new PianoRoll([], 125), new PianoRoll([], 125)] };
  const hop = new Float32Array(2 * 3 * mel.n_mels);
  const first = await waveNet.step(ensemble, hop, 0, await waveNet.start(ensemble));
  expect(forced).toEqual(Array(8).fill(128)); // a frame of each track, of the level in the middle
  const silence = Array(8).fill(0);
  expect([...first.audio]).toEqual([...silence, 0, 1, 2, 3, ...silence, 1000, 1001, 1002, 1003]);
  const second = await waveNet.step(ensemble, hop, 3, first.state);
  const numbers = Array.from({ length: 12 }, (_, i) => 4 + i);
  expect([...second.audio]).toEqual([...numbers, ...numbers.map((value) => 1000 + value)]);
  waveNet.end(second.state);
  expect(closed).toBe(true);
});

it("time left is told roughly", () => {
  expect(timeLeft(0.2)).toBe("about 1 s left");
  expect(timeLeft(89)).toBe("about 89 s left");
  expect(timeLeft(200)).toBe("about 3 min left");
  expect(timeLeft(7000)).toBe("about 2 h left");
});

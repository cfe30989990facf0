import { expect, it } from "vitest";
import { pickedRows } from "../src/engine/ensemble";
import { GriffinLim } from "../src/engine/griffin_lim";
import { Rendering } from "../src/engine/rendering";
import type { Source, Step } from "../src/engine/source";
import { PianoRoll } from "../src/score/roll";
import { History } from "../src/ui/history.svelte";

const mel = { sample_rate: 16000, hop_length: 16, n_fft: 128, n_mels: 10, f_min_hz: 0, f_max_hz: 8000, floor: 1e-5 }; // prettier-ignore

it("rows are taken from several arrays", () => {
  const arrays = [Float32Array.of(1, 2, 3, 4), new Float32Array(0), Float32Array.of(5, 6)];
  expect([...pickedRows(arrays, 2, [2, 0])]).toEqual([5, 6, 1, 2]);
  expect(pickedRows(arrays, 2, []).length).toBe(0);
});

it("tracks that come and go do not change the sound of one that stays", async () => {
  const vocoder = new GriffinLim(mel);
  const roll = new PianoRoll([], 125);
  const hop = (n: number, seed: number) =>
    Float32Array.from({ length: n * 160 }, (_, i) => -4 + 3 * Math.sin(seed + (i % 160)));
  const alone = { tracks: [3], rolls: [roll] };
  const both = { tracks: [1, 3], rolls: [roll, roll] };
  let wanted = await vocoder.start(alone);
  let mixed = await vocoder.start(both);
  for (let i = 0; i < 9; i++) {
    const without = i >= 3 && i < 6;
    if (i === 3) mixed = vocoder.regrouped([mixed], [1]);
    if (i === 6) {
      const fresh = await vocoder.start({ tracks: [1], rolls: [roll] });
      mixed = vocoder.regrouped([mixed, fresh], [1, 0]);
    }
    const one = await vocoder.step(alone, hop(1, i), 16 * i, wanted);
    const n = without ? 1 : 2;
    const two = await vocoder.step(without ? alone : both, hop(n, i), 16 * i, mixed);
    [wanted, mixed] = [one.state, two.state];
    expect(two.audio.subarray((n - 1) * 256)).toEqual(one.audio);
    if (i > 3) expect(one.audio.some((value) => Math.abs(value) > 1e-3)).toBe(true);
  }
});

it("what was computed beforehand is given again, from any place on", async () => {
  // Hops of four samples, of which the first two come two samples late, as after a vocoder.
  const source = { hop: 2, nFrames: 6, nSamples: 12, sampleRate: 100, hopLength: 2 } as Source;
  const rendering = new Rendering(source);
  const sizes = [2, 4, 4, 2];
  let at = 0;
  sizes.forEach((n, k) => {
    const left = Float32Array.from({ length: n }, (_, i) => at + i);
    const mix: Step["mix"] = [left, left.map((value) => -value)];
    const step = { at, mix, mel: Float32Array.of(k), frame: 2 * k, nTracks: 3, nAsleep: 0 };
    rendering.add({ ...step, points: [[k / 2]], next: { frame: 2 * k + 2 } });
    at += n;
  });
  expect(rendering.has({ frame: 6 })).toBe(true);
  expect(rendering.has({ frame: 8 })).toBe(false);
  const nothing = { timbres: [], heard: [], dry: false };
  for (const from of [0, 2, 4]) {
    let place = await rendering.start(from);
    const found: number[] = [];
    while (place.frame < 8) {
      const step = await rendering.step(place, nothing, from);
      expect([...step.mix[1]]).toEqual([...step.mix[0]].map((value) => -value));
      expect([...step.mel, step.points[0][0]]).toEqual([place.frame / 2, place.frame / 4]);
      if (step.mix[0].length) expect(step.at).toBe(step.mix[0][0]);
      found.push(...step.mix[0]);
      place = step.next;
    }
    expect(found).toEqual(Array.from({ length: 12 - 2 * from }, (_, i) => 2 * from + i));
  }
});

it("a drag is undone in one step, and redone", () => {
  const history = new History<number>();
  let now = 0;
  const set = (value: number, continues: boolean) => {
    history.remember(now, continues);
    now = value;
  };
  set(1, false);
  set(2, false);
  set(3, true);
  set(4, true);
  expect((now = history.undo(now)!)).toBe(1);
  expect((now = history.redo(now)!)).toBe(4);
  expect(history.redo(now)).toBe(null);
  expect((now = history.undo(now)!)).toBe(1);
  // What goes on after an undo begins a step of its own, and nothing is left to redo.
  set(5, true);
  expect(history.canRedo).toBe(false);
  expect((now = history.undo(now)!)).toBe(1);
  expect((now = history.undo(now)!)).toBe(0);
  expect(history.canUndo).toBe(false);
  expect(history.undo(now)).toBe(null);
});

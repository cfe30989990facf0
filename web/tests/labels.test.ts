import { expect, it } from "vitest";
import { BufferWait } from "../src/engine/buffering";
import { FULL, LIGHT, LoadMeter, QualityMeter } from "../src/engine/quality";
import { thinned } from "../src/timbre/timbre";
import { layOut, type Box } from "../src/ui/labels";

it("names on a small map lie over no other name and within it", () => {
  const bounds = { width: 320, height: 320 };
  const dots = Array.from({ length: 10 }, (_, i) => ({
    x: 20 + ((i * 73) % 280),
    y: 20 + ((i * 131) % 280),
  }));
  const boxes = layOut(dots, Array(10).fill({ width: 85, height: 24 }), bounds);
  const apart = (a: Box, b: Box) =>
    a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
  boxes.forEach((a, i) => {
    expect(a.x).toBeGreaterThanOrEqual(0);
    expect(a.x + a.width).toBeLessThanOrEqual(bounds.width);
    for (const b of boxes.slice(i + 1)) expect(apart(a, b)).toBe(true);
  });
});

it("a path is thinned to what a hand can take, and keeps its ends", () => {
  const times = Array.from({ length: 400 }, (_, i) => i / 125);
  const points = times.map((time) => [1, Math.sin(40 * time)]);
  const found = thinned({ times, points }, 0, 60);
  expect(found.times.length).toBeLessThanOrEqual(60);
  expect(found.times[0]).toBe(0);
  expect(found.times.at(-1)).toBe(times.at(-1));
});

it("a piece is computed ahead until the rest will be there in time", () => {
  // A minute that takes three to compute.
  const wait = new BufferWait(60, 0);
  expect(wait.at(0.001, 170, 500).share).toBe(0); // nobody knows yet
  const soon = wait.at(1 / 6, 150, 30_000);
  expect(soon.left).toBeCloseTo(150 - 60 / 1.15, 6);
  expect(soon.share).toBeCloseTo(30 / (30 + soon.left), 6);
  // What is left then takes as long as the piece sounds, with a margin.
  expect(wait.at(0.72, 50, 130_000)).toEqual({ share: 1, left: 0 });
  // A computer that is fast enough waits until that is known.
  const fast = new BufferWait(60, 0);
  expect(fast.at(0.01, 5, 400).left).toBeCloseTo(0.6, 6);
  expect(fast.at(0.2, 5, 1100).left).toBe(0);
});

const judged = (meter: QualityMeter, shares: number[]) => shares.map((share) => meter.add(share));

it("neither a warm-up nor one slow hop makes a computer slow", () => {
  expect(judged(new QualityMeter(), [5, 3, 2, 0.2, 0.2]).at(-1)).toBe(FULL);
  expect(judged(new QualityMeter(), [0.1, 0.1, 0.2, 0.8, 0.9]).at(-1)).toBe(LIGHT);
});

it("a busy moment does not last, and what was found fast enough stays so", () => {
  const meter = new QualityMeter();
  expect(judged(meter, [1, 1, 1, 1, 1])).toEqual([null, null, null, null, LIGHT]);
  // As fast as this it is only because the pictures are few.
  expect(judged(meter, [0.4, 0.4, 0.4])).toEqual([null, null, null]);
  expect(judged(meter, [0.2, 0.2, 0.9])).toEqual([null, null, FULL]);
  expect(judged(meter, [1, 1, 1, 1, 1, 1])).toEqual(Array(6).fill(null));
});

it("a piece is too much where hops take longer than they sound, not for one busy moment", () => {
  const meter = new LoadMeter();
  const found = (share: number, hops: number) => {
    for (let i = 0; i < hops; i++) meter.add(share, 0.128);
    return meter.tooMuch;
  };
  expect(found(9, 2)).toBe(false);
  expect(found(1.5, 3)).toBe(true);
  // It is taken back where there is a margin, and a busy moment does not bring it.
  expect(found(0.9, 25)).toBe(true);
  expect(found(0.7, 25)).toBe(false);
  expect(found(3, 10)).toBe(false);
  expect(found(0.7, 15)).toBe(false);
  // Other tracks are judged anew.
  meter.restart();
  expect(found(2, 5)).toBe(true);
});

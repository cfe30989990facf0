// Files of timbres, with and without FiLM vectors of their own.

import { expect, it } from "vitest";
import { parseTimbreFile, timbreFile, timbreSpec } from "../src/timbre/grammar";
import { timbreAt, type Timbre } from "../src/timbre/timbre";

const instruments = [
  { name: "piano", program: 0, embedding: [1, 0] },
  { name: "harp", program: 46, embedding: [0, 2] },
];
const space = { instruments, filmSize: 3, weights: "0123" };
const own: Timbre = {
  times: [0, 2],
  points: [
    [1, 0],
    [0, 2, 0.5, -1, 4],
  ],
};

it("a path of both kinds survives its file", () => {
  const found = parseTimbreFile(timbreFile(own, space), space).timbre;
  expect(found.times).toEqual([0, 2]);
  expect(found.points).toEqual([[1, 0, 0, 0, 0], own.points[1]]);
});

it("what lies between a plain point and one of its own has a part of both", () => {
  expect(timbreAt(own, 1)).toEqual([0.5, 1, 0.25, -0.5, 2]);
  expect(timbreAt(own, 9)).toEqual(own.points[1]);
});

it("without FiLM vectors a file is of the first format", () => {
  const text = timbreFile({ times: [0], points: [[0, 2]] }, space);
  expect(JSON.parse(text)).toEqual({
    timbrel_timbre: 1,
    path: [{ time_s: 0, timbre: "@0,2" }],
  });
  expect(parseTimbreFile(text, space).timbre.points).toEqual([[0, 2]]);
});

it.each([
  ["another model", { ...space, weights: "4567" }, timbreFile(own, space)],
  ["must have 2 numbers", { ...space, filmSize: 2 }, timbreFile(own, space)],
  ["format 1 or 2", space, JSON.stringify({ timbrel_timbre: 3, path: [] })],
  ["is not a timbre file", space, "harp"],
])("refuses a file: %s", (words, where, text) => {
  expect(() => parseTimbreFile(text, where)).toThrow(words);
});

it("a command names the place only", () => {
  expect(timbreSpec(own, instruments)).toBe("0s piano; 2s harp");
});

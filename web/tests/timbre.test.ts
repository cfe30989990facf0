import { expect, it } from "vitest";
import type { Instrument } from "../src/engine/bundle";
import { plainTrack } from "../src/score/score";
import {
  asMix,
  mixed,
  nearestInstrument,
  parseTimbre,
  parseTimbreFile,
  repeated,
  simplified,
  timbreAt,
  timbreFile,
  timbreSpec,
} from "../src/timbre/timbre";
import { TimbreMap } from "../src/timbre/map";
import { inWords } from "../src/timbre/words";

const instruments: Instrument[] = [
  { name: "harp", program: 46, embedding: [0, 0] },
  { name: "trumpet", program: 56, embedding: [1, 0] },
  { name: "church organ", program: 19, embedding: [0, 1] },
];
const space = { instruments, filmSize: 3, weights: "0123" };
const measured = { x: [0, 1], y: [0, 1], centroid_hz: [[100, 900], [500, 1300]], energy_db: [[0, 0], [0, 0]] }; // prettier-ignore
const map = new TimbreMap({ ...measured, projection: null }, instruments);

it("a path is a straight line between its breakpoints", () => {
  const path = parseTimbre("0s harp; 8s trumpet", instruments);
  expect(timbreAt(path, -1)).toEqual([0, 0]);
  expect(timbreAt(path, 2)).toEqual([0.25, 0]);
  expect(timbreAt(path, 9)).toEqual([1, 0]);
});

it("what is written down is read again", () => {
  const path = parseTimbre("0s harp; 1.5s @0.25,-1.5; 8s church organ:3, trumpet", instruments);
  expect(parseTimbre(timbreSpec(path, instruments), instruments)).toEqual(path);
  expect(parseTimbreFile(timbreFile(path, space), space)).toEqual(path);
  expect(timbreSpec(parseTimbre("Trumpet", instruments), instruments)).toBe("trumpet");
});

it.each([
  ["kazoo", "no instrument “kazoo”"],
  ["@1", "has 1 coordinates; the model has 2"],
  ["@1,x", "“x” is not a number"],
  ["0s harp; 0s trumpet", "must rise"],
  ["0s harp; trumpet", "starts with its time"],
  ["harp:0", "more than 0"],
])("%s is refused", (text, words) => {
  expect(() => parseTimbre(text, instruments)).toThrow(words);
});

it.each(["{}", "[]", "no JSON", '{"timbrel_timbre": 1, "path": []}'])(
  "%s is no timbre file",
  (text) => {
    expect(() => parseTimbreFile(text, space)).toThrow();
  },
);

it("points are mixes of the instruments around them", () => {
  const { shares, distance } = asMix([0.3, 0], instruments);
  expect(shares.map(({ instrument }) => instrument.name)).toEqual(["harp", "trumpet"]);
  expect(shares[0].share).toBeCloseTo(0.7);
  expect(distance).toBeCloseTo(0);
  const inside = asMix([0.25, 0.25], instruments).shares;
  expect(mixed(inside)[0]).toBeCloseTo(0.25);
  expect(inside).toHaveLength(3);
});

it("timbres have words", () => {
  expect(inWords([0.28, 0], instruments, map)).toBe("72 % harp, 28 % trumpet; warm");
  expect(inWords([1, 0], instruments, null)).toBe("trumpet");
  expect(inWords([2, 0], instruments, null)).toBe("beyond 100 % trumpet");
  expect(map.valueAt(map.data.centroid_hz, [0.5, 0.5])).toBe(700);
  expect(map.raster(map.data.centroid_hz, 3)[4]).toBe(700);
});

it("straight parts of a recorded path need no breakpoints", () => {
  const times = Array.from({ length: 41 }, (_, i) => i / 8);
  const points = times.map((time) => (time < 2 ? [time, 0] : [2, time - 2]));
  const simple = simplified({ times, points });
  expect(simple.times).toEqual([0, 2, 5]);
  for (const [i, time] of times.entries()) {
    timbreAt(simple, time).forEach((value, d) => expect(value).toBeCloseTo(points[i][d], 4));
  }
});

it("a repeated path begins anew", () => {
  const path = repeated(parseTimbre("0s harp; 2s trumpet", instruments), 2, 5);
  expect(timbreAt(path, 1)[0]).toBeCloseTo(0.5);
  expect(timbreAt(path, 3)[0]).toBeCloseTo(0.5);
  expect(path.times.every((time, i) => i === 0 || time > path.times[i - 1])).toBe(true);
});

it("programs get the nearest instrument, and drums a kit", () => {
  const kits = [8, 0, 25].map((program) => ({
    name: `kit ${program}`,
    program,
    embedding: [2, program],
    keys: [36],
  }));
  const all = [...instruments, ...kits];
  const nameFor = (program: number, isKit: boolean, known = all) =>
    nearestInstrument({ ...plainTrack(""), program, isKit }, known).name;
  expect(nameFor(57, false)).toBe("trumpet");
  expect(nameFor(16, false)).toBe("church organ");
  expect(nameFor(25, false)).toBe("harp");
  expect(nameFor(56, false, instruments.slice().reverse())).toBe("trumpet");
  expect(nameFor(25, true)).toBe("kit 25");
  expect(nameFor(12, true)).toBe("kit 8"); // the first of its eight
  expect(nameFor(40, true)).toBe("kit 0"); // the standard kit
  expect(nameFor(40, true, kits.slice(2))).toBe("kit 25");
});

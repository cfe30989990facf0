import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import type { Instrument } from "../src/engine/bundle";
import { plainTrack } from "../src/score/score";
import { nearestInstrument } from "../src/timbre/assignment";
import { parseTimbre, parseTimbreFile, timbreFile, timbreSpec } from "../src/timbre/grammar";
import { Plane } from "../src/timbre/plane";
import { asMix, mixed } from "../src/timbre/mix";
import { repeated, simplified, timbreAt } from "../src/timbre/timbre";
import { inWords } from "../src/timbre/words";

const instruments: Instrument[] = [
  { name: "harp", program: 46, embedding: [0, 0] },
  { name: "trumpet", program: 56, embedding: [1, 0] },
  { name: "church organ", program: 19, embedding: [0, 1] },
];
const space = { instruments, filmSize: 3, weights: "0123" };
const measured = { x: [0, 1], y: [0, 1], centroid_hz: [[100, 900], [500, 1300]], energy_db: [[0, 0], [0, 0]] }; // prettier-ignore
const read = (text: string) => parseTimbre(text, instruments).timbre;
const map = new Plane(measured);

it("a path is a straight line between its breakpoints", () => {
  const path = read("0s harp; 8s trumpet");
  expect(timbreAt(path, -1)).toEqual([0, 0]);
  expect(timbreAt(path, 2)).toEqual([0.25, 0]);
  expect(timbreAt(path, 9)).toEqual([1, 0]);
});

it("what is written down is read again", () => {
  const path = read("0s harp; 1.5s @0.25,-1.5; 8s church organ:3, trumpet");
  expect(read(timbreSpec(path, instruments))).toEqual(path);
  expect(parseTimbreFile(timbreFile(path, space), space).timbre).toEqual(path);
  expect(timbreSpec(read("Trumpet"), instruments)).toBe("trumpet");
  expect(timbreSpec(path, instruments)).toBe(
    "0s harp; 1.5s @0.25,-1.5; 8s 75% church organ + 25% trumpet",
  );
  expect(timbreSpec(read("harp, trumpet, harp"), instruments)).toBe(
    "66.667% harp + 33.333% trumpet",
  );
  expect(timbreSpec(read("trumpet:2, harp:-1"), instruments)).toBe("@2,0");
});

interface Spelling {
  model: string;
  text: string;
  error?: string;
  times: number[];
  points: number[][];
  remarks: string[];
}
const golden: { models: Record<string, Instrument[]>; spellings: Spelling[] } = JSON.parse(
  readFileSync(new URL("../../tests/web/golden/timbres.json", import.meta.url), "utf8"),
);

it.each(golden.spellings)("'$text' means to $model what it means to Python", (spelling) => {
  const { model, text, error, times, points, remarks } = spelling;
  const known = golden.models[model];
  if (error !== undefined) {
    expect(() => parseTimbre(text, known)).toThrow(new Error(error));
    return;
  }
  const found = parseTimbre(text, known);
  expect(found.timbre.times).toEqual(times);
  expect(found.remarks).toEqual(remarks);
  points.flat().forEach((value, i) => expect(found.timbre.points.flat()[i]).toBeCloseTo(value, 9));
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
  const path = repeated(read("0s harp; 2s trumpet"), 2, 5);
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

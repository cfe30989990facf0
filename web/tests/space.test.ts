import { expect, it } from "vitest";
import type { Instrument } from "../src/engine/bundle";
import { timbreSpec, parseTimbre } from "../src/timbre/grammar";
import { asMix } from "../src/timbre/mix";
import { InstrumentMap, wholePercent, type Place } from "../src/timbre/space";
import { inWords } from "../src/timbre/words";
import {
  between,
  depthAround,
  dragged,
  facing,
  FRONT,
  NEAREST_ZOOM,
  placeAt,
  project,
  turned,
  zoomed,
  type View,
} from "../src/ui/camera";

const PICTURE = { width: 400, height: 300 };
const VIEWS: View[] = [
  { turn: 0, tilt: 0, zoom: 1 },
  FRONT,
  { turn: -2.5, tilt: -1.2, zoom: 3 },
  { turn: 3, tilt: Math.PI / 2, zoom: 0.9 },
];
const PLACES: Place[] = [
  [0, 0, 0],
  [0.5, 0.2, -0.4],
  [-0.9, 0.1, 0.3],
];

it("from in front, x goes to the right, y up and z to the eye", () => {
  const [view] = VIEWS;
  const middle = project([0, 0, 0], view, PICTURE);
  expect(middle).toMatchObject({ x: 200, y: 150 });
  expect(project([0.5, 0, 0], view, PICTURE).x).toBeGreaterThan(middle.x);
  expect(project([0, 0.5, 0], view, PICTURE).y).toBeLessThan(middle.y);
  const near = project([0, 0, 0.5], view, PICTURE);
  expect(near.depth).toBeLessThan(middle.depth);
  expect(near.scale).toBeGreaterThan(middle.scale);
});

it.each(VIEWS)("a point of the picture of %o stands for the place that is seen there", (view) => {
  for (const place of PLACES) {
    const { x, y, depth } = project(place, view, PICTURE);
    placeAt(x, y, depth, view, PICTURE).forEach((value, d) =>
      expect(value).toBeCloseTo(place[d], 9),
    );
  }
});

it.each(VIEWS)(
  "of %o the whole ball is seen, and a turn moves what is in front with the hand",
  (view) => {
    const whole = { ...view, zoom: 1 };
    for (const place of [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
      [-0.6, 0.6, -0.5],
    ] as Place[]) {
      const { x, y } = project(place, whole, PICTURE);
      expect(Math.abs(y - 150)).toBeLessThan(150);
      expect(Math.abs(x - 200)).toBeLessThan(200);
    }
    const front = placeAt(200, 150, 2.6, whole, PICTURE);
    const after = dragged(whole, 10, 0, PICTURE);
    if (Math.abs(view.tilt) < 1.5) expect(project(front, after, PICTURE).x).toBeGreaterThan(200);
    const lower = project(front, dragged(whole, 0, 10, PICTURE), PICTURE);
    if (Math.abs(view.tilt) < 1.5) expect(lower.y).toBeGreaterThan(150);
  },
);

it("half a turn is the back, a whole one the front, and the tilt ends upright", () => {
  const { turn } = turned(turned(FRONT, Math.PI, 0), Math.PI, 0);
  expect(turn).toBeCloseTo(FRONT.turn);
  expect(turned(FRONT, 0, 9).tilt).toBe(Math.PI / 2);
  expect(zoomed(FRONT, 1e9).zoom).toBe(NEAREST_ZOOM);
});

it.each(PLACES.slice(1))("the view that faces %d %d %d has it in front", (...place) => {
  const view = facing(FRONT, place as Place);
  const { x, y, depth } = project(place as Place, view, PICTURE);
  expect(x).toBeCloseTo(200);
  expect(y).toBeCloseTo(150);
  expect(depth).toBeCloseTo(project([0, 0, 0], view, PICTURE).depth - Math.hypot(...place));
});

it("from one view to another the shorter way is taken", () => {
  const half = between({ turn: 3, tilt: 0, zoom: 1 }, { turn: -3, tilt: 1, zoom: 2 }, 0.5);
  expect(Math.abs(half.turn)).toBeCloseTo(Math.PI);
  expect(half).toMatchObject({ tilt: 0.5, zoom: 1.5 });
});

it("a place between dots is as deep as those around it", () => {
  const at = (x: number, depth: number) => ({ x, y: 0, depth, scale: 1 });
  expect(depthAround(50, 0, [at(0, 2), at(100, 4)])).toBeCloseTo(3);
  expect(depthAround(0, 0, [at(0, 2), at(100, 4)])).toBeCloseTo(2, 3);
});

const NAMES = ["a", "b", "c", "d", "e", "f"];
const instruments: Instrument[] = NAMES.map((name, i) => ({
  name,
  program: i,
  embedding: NAMES.map((_, d) => Number(d === i)),
}));
const places = [[0, 0, 0], [1, 0, 0], [0, 0.5, 0], [0, 0, -0.25], [0, 0, 0.9], [0, 0, 0.99]]; // prettier-ignore
const measured = { centroid_hz: [100, 200, 400, 800, 1600, 3200], energy_db: [0, -10, -20, 5, 1, 2] }; // prettier-ignore
const map = new InstrumentMap({ places, ...measured }, instruments);

it("between dots the four nearest are mixed by the inverse of their distance", () => {
  const place: Place = [0, 0, -0.125];
  const shares = map.mixAt(place, instruments);
  const distances = [0.125, 0.125, Math.hypot(0.5, 0.125), Math.hypot(1, 0.125)];
  const total = distances.reduce((sum, one) => sum + 1 / one, 0);
  expect(shares.map(({ instrument }) => instrument.name)).toEqual(["a", "d", "c", "b"]);
  shares.forEach(({ share }, i) => expect(Math.abs(share - 1 / distances[i] / total)).toBeLessThan(0.01)); // prettier-ignore
  expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  const point = map.pointAt(place, instruments);
  expect(asMix(point, instruments)).toEqual({ shares, distance: 0 });
  expect(map.place(point, instruments)).toEqual(place);
  const spec = timbreSpec({ times: [0], points: [point] }, instruments);
  expect(spec).toBe("43% a + 42% d + 10% c + 5% b"); // prettier-ignore
  const read = parseTimbre(spec, instruments).timbre.points[0];
  read.forEach((value, d) => expect(value).toBeCloseTo(point[d], 9));
  expect(inWords(point, instruments, map)).toBe("43 % a, 42 % d, 10 % c, 5 % b; warm");
});

it("a dot is its instrument alone, and only those that may play are mixed", () => {
  expect(map.mixAt([1, 0, 0], instruments)).toEqual([{ instrument: instruments[1], share: 1 }]);
  const two = instruments.slice(4);
  expect(map.mixAt([0, 0, 0], two).map(({ instrument }) => instrument.name)).toEqual(["e", "f"]);
});

it("a timbre that was not chosen on the map lies amid what it is mixed of", () => {
  const point = instruments[1].embedding.map(
    (value, d) => (value + instruments[2].embedding[d]) / 2,
  );
  map.place(point, instruments).forEach((value, d) => expect(value).toBeCloseTo([0.5, 0.25, 0][d]));
});

it("what was measured has levels, brightness by ratios", () => {
  instruments.forEach((one, i) => expect(map.level("centroid_hz", one)).toBeCloseTo(i / 5));
  expect(map.level("energy_db", instruments[1])).toBeCloseTo(0.4);
  expect(map.range("energy_db")).toEqual([-20, 5]);
  expect(map.expected("centroid_hz", instruments[2].embedding, instruments)).toBeCloseTo(400);
  expect(map.brightnessRank(instruments[3].embedding, instruments)).toBeCloseTo(0.5);
});

it("whole per cents add up to 100", () => {
  expect(wholePercent([1 / 3, 1 / 3, 1 / 3])).toEqual([34, 33, 33]);
  expect(wholePercent([0.995, 0.005])).toEqual([100, 0]);
});

it("a timbre that was heard lies amid the instruments that are nearest to it", () => {
  const instruments = [[0, 0], [1, 0], [0, 1], [9, 9], [8, 9]].map((embedding, i) => ({ name: String(i), program: i, embedding })); // prettier-ignore
  const places = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1]]; // prettier-ignore
  const map = new InstrumentMap(
    { places, centroid_hz: [1, 1, 1, 1, 1], energy_db: [] },
    instruments,
  );
  map.placeAmid([1, 0]).forEach((value, d) => expect(value).toBeCloseTo(places[1][d], 4));
  const [x, y, z] = map.placeAmid([0.4, 0.4]);
  expect(x).toBeCloseTo(y, 9);
  expect([x > 0.2, x < 0.5, Math.abs(z) < 0.1]).toEqual([true, true, true]);
  const point = [0.4, 0.4];
  map.putAmid(point);
  expect(map.place(point, instruments)).toEqual([x, y, z]);
});

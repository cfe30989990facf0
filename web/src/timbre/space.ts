// The map of all instruments of a model with more than two dimensions: places in three, where
// instruments with like timbres lie close together, and the mixes that lie between them. The places
// are those of src/timbrel/evaluation/instrument_map.py.

import type { Instrument, InstrumentMapData } from "../engine/bundle";
import { asMix, mixed, type Share } from "./mix";
import type { Point } from "./timbre";
import type { Shown } from "./words";

/** A place on the map; the instruments' lie within the unit ball. */
export type Place = [number, number, number];

export type Measured = "centroid_hz" | "energy_db";

const NEIGHBOURS = 4;
// Brightness is heard by ratios.
const SCALES = {
  centroid_hz: { of: Math.log, back: Math.exp },
  energy_db: { of: Number, back: Number },
};

export class InstrumentMap implements Shown {
  private readonly indices: Map<Instrument, number>;
  /** Of timbres that were chosen on the map, where; and where others were found to lie. */
  private readonly known = new WeakMap<Point, Place>();

  constructor(
    readonly data: InstrumentMapData,
    readonly instruments: Instrument[],
  ) {
    this.indices = new Map(instruments.map((instrument, i) => [instrument, i]));
  }

  placeOf(instrument: Instrument): Place {
    return this.data.places[this.indices.get(instrument)!] as Place;
  }

  /**
   * The timbre between instruments: of the four that lie nearest to a place, each has a share by the
   * inverse of its distance. Shares are whole per cents, which add up to 100.
   */
  mixAt(place: Place, among: Instrument[]): Share[] {
    const near = among
      .map((instrument) => ({ instrument, distance: distance(this.placeOf(instrument), place) }))
      .sort((a, b) => a.distance - b.distance)
      .slice(0, NEIGHBOURS);
    if (near[0].distance < 1e-6) return [{ instrument: near[0].instrument, share: 1 }];
    const total = near.reduce((sum, one) => sum + 1 / one.distance, 0);
    const percent = wholePercent(near.map((one) => 1 / one.distance / total));
    return near
      .map(({ instrument }, i) => ({ instrument, share: percent[i] / 100 }))
      .filter(({ share }) => share > 0);
  }

  /** The mix at a place as a point, which keeps this place on the map. */
  pointAt(place: Place, among: Instrument[]): Point {
    const point = mixed(this.mixAt(place, among));
    this.known.set(point, place);
    return point;
  }

  /** Where a timbre lies: where it was chosen, or else amid the instruments that it is mixed of. */
  place(point: Point, among: Instrument[]): Place {
    const known = this.known.get(point);
    if (known) return known;
    const place: Place = [0, 0, 0];
    for (const { instrument, share } of asMix(point, among).shares) {
      this.placeOf(instrument).forEach((value, d) => (place[d] += share * value));
    }
    this.known.set(point, place);
    return place;
  }

  /**
   * Where a timbre that was heard may lie: amid the four instruments whose timbres are nearest to it,
   * by the inverse of their distances.
   */
  placeAmid(point: Point): Place {
    const near = this.instruments
      .map((instrument) => ({
        place: this.placeOf(instrument),
        distance: Math.hypot(...instrument.embedding.map((value, d) => value - point[d])),
      }))
      .sort((a, b) => a.distance - b.distance)
      .slice(0, NEIGHBOURS);
    const weights = near.map((one) => 1 / (one.distance + 1e-6));
    const total = weights.reduce((a, b) => a + b, 0);
    const at = (d: number) =>
      near.reduce((sum, { place }, i) => sum + (weights[i] / total) * place[d], 0);
    return [at(0), at(1), at(2)];
  }

  /** Have a timbre shown there. */
  putAmid(point: Point): void {
    this.known.set(point, this.placeAmid(point));
  }

  measured(quantity: Measured, instrument: Instrument): number {
    return this.data[quantity][this.indices.get(instrument)!];
  }

  range(quantity: Measured): [number, number] {
    return [Math.min(...this.data[quantity]), Math.max(...this.data[quantity])];
  }

  /** A measured quantity of an instrument, 0–1 from the smallest to the largest. */
  level(quantity: Measured, instrument: Instrument): number {
    const [low, high] = this.range(quantity).map(SCALES[quantity].of);
    return (SCALES[quantity].of(this.measured(quantity, instrument)) - low) / (high - low || 1);
  }

  /** What may be expected of a timbre: between what was measured of those that it is mixed of. */
  expected(quantity: Measured, point: Point, among: Instrument[]): number {
    const { of, back } = SCALES[quantity];
    return back(
      asMix(point, among).shares.reduce(
        (sum, { instrument, share }) => sum + share * of(this.measured(quantity, instrument)),
        0,
      ),
    );
  }

  /** The spectral centroid of a timbre, 0–1 from the lowest to the highest of the instruments. */
  brightness(point: Point, among: Instrument[]): number {
    return asMix(point, among).shares.reduce(
      (sum, { instrument, share }) => sum + share * this.level("centroid_hz", instrument),
      0,
    );
  }

  brightnessRank(point: Point, among: Instrument[]): number {
    const hz = this.expected("centroid_hz", point, among) * (1 - 1e-9);
    const darker = among.filter((one) => this.measured("centroid_hz", one) < hz);
    return darker.length / among.length;
  }

  /** The widest extent of the timbre space that instruments take, in any dimension. */
  get width(): number {
    const [first] = this.instruments;
    return Math.max(
      ...first.embedding.map((_, d) => {
        const values = this.instruments.map(({ embedding }) => embedding[d]);
        return Math.max(...values) - Math.min(...values);
      }),
    );
  }
}

/** Shares as whole per cents that add up to 100: what is cut off goes to those that lose most. */
export function wholePercent(shares: number[]): number[] {
  const whole = shares.map((share) => Math.floor(100 * share + 1e-9));
  const lacking = 100 - whole.reduce((a, b) => a + b, 0);
  const byLoss = shares
    .map((share, i) => ({ i, loss: 100 * share - whole[i] }))
    .sort((a, b) => b.loss - a.loss);
  for (const { i } of byLoss.slice(0, lacking)) whole[i]++;
  return whole;
}

function distance(a: Place, b: Place): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

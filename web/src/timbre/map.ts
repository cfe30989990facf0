// The plane of a timbre map: where timbres lie on it, which timbres its places stand for, and what was
// measured there. A model of two dimensions is shown as it is. One of more is projected; see
// `project` in src/timbrel/evaluation/timbre_space.py.

import type { Instrument, TimbreMapData } from "../engine/bundle";
import type { Point } from "./timbre";

/** A place on the map, in its own units. */
export type Place = [number, number];

export class TimbreMap {
  readonly x: [number, number];
  readonly y: [number, number];
  /** Of the instruments' variance, the share that the map shows. */
  readonly explained: number;
  private readonly known: { at: Place; rest: Point }[];

  constructor(
    readonly data: TimbreMapData,
    instruments: Instrument[],
  ) {
    this.x = ends(data.x);
    this.y = ends(data.y);
    this.explained = data.projection?.explained ?? 1;
    this.known = instruments.map(({ embedding }) => {
      const at = this.place(embedding);
      const flat = this.onPlane(at);
      return { at, rest: embedding.map((value, d) => value - flat[d]) };
    });
  }

  get projected(): boolean {
    return this.data.projection !== null;
  }

  place(point: Point): Place {
    const { projection } = this.data;
    if (!projection) return point as Place;
    const along = (direction: number[]) =>
      direction.reduce((sum, value, d) => sum + value * (point[d] - projection.centre[d]), 0);
    return projection.basis.map(along) as Place;
  }

  /**
   * The timbre of a place: on the plane, and as far off it as the instruments near by, so that an
   * instrument's place is that instrument.
   */
  point(place: Place): Point {
    const flat = this.onPlane(place);
    if (!this.projected) return flat;
    const weights = this.known.map(({ at }) => {
      const squared = (at[0] - place[0]) ** 2 + (at[1] - place[1]) ** 2;
      return 1 / Math.max(squared, 1e-12);
    });
    const total = weights.reduce((a, b) => a + b);
    return flat.map((value, d) =>
      this.known.reduce((sum, { rest }, i) => sum + (weights[i] / total) * rest[d], value),
    );
  }

  /** A measured quantity where a timbre lies, between the grid's points; at the rim beyond it. */
  valueAt(values: number[][], point: Point): number {
    const [x, y] = this.place(point);
    const [i, u] = cell(this.data.x, x);
    const [j, v] = cell(this.data.y, y);
    const row = (r: number[]) => r[i] + u * (r[i + 1] - r[i]);
    return row(values[j]) + v * (row(values[j + 1]) - row(values[j]));
  }

  /** A quantity all over the map, (size, size), the largest y first, as pictures have it. */
  raster(values: number[][], size: number): Float32Array {
    const at = (axis: number[], share: number) =>
      cell(axis, axis[0] + share * (axis[axis.length - 1] - axis[0]));
    const columns = Array.from({ length: size }, (_, i) => at(this.data.x, i / (size - 1)));
    const out = new Float32Array(size * size);
    for (let r = 0; r < size; r++) {
      const [j, v] = at(this.data.y, 1 - r / (size - 1));
      const line = values[j].map((value, i) => value + v * (values[j + 1][i] - value));
      for (let c = 0; c < size; c++) {
        const [i, u] = columns[c];
        out[r * size + c] = line[i] + u * (line[i + 1] - line[i]);
      }
    }
    return out;
  }

  private onPlane([x, y]: Place): Point {
    const { projection } = this.data;
    if (!projection) return [x, y];
    const [first, second] = projection.basis;
    return projection.centre.map((value, d) => value + x * first[d] + y * second[d]);
  }
}

function ends(axis: number[]): [number, number] {
  return [axis[0], axis[axis.length - 1]];
}

/** The grid's cell that a value lies in, and where in it, from 0 to 1. */
function cell(axis: number[], value: number): [number, number] {
  const n = axis.length - 1;
  const at = Math.min(Math.max(((value - axis[0]) / (axis[n] - axis[0])) * n, 0), n);
  const low = Math.min(Math.floor(at), n - 1);
  return [low, at - low];
}

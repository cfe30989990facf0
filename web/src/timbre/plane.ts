// The map of a timbre space of two dimensions, and what was measured there.

import type { PlaneData } from "../engine/bundle";
import type { Point } from "./timbre";
import type { Shown } from "./words";

export class Plane implements Shown {
  readonly x: [number, number];
  readonly y: [number, number];

  private readonly lowest: number;
  private readonly extent: number;

  constructor(readonly data: PlaneData) {
    this.x = ends(data.x);
    this.y = ends(data.y);
    const all = data.centroid_hz.flat();
    this.lowest = Math.min(...all);
    this.extent = Math.max(...all) - this.lowest;
  }

  get width(): number {
    return this.x[1] - this.x[0];
  }

  /** A measured quantity where a timbre lies, between the grid's points; at the rim beyond it. */
  valueAt(values: number[][], [x, y]: Point): number {
    const [i, u] = cell(this.data.x, x);
    const [j, v] = cell(this.data.y, y);
    const row = (r: number[]) => r[i] + u * (r[i + 1] - r[i]);
    return row(values[j]) + v * (row(values[j + 1]) - row(values[j]));
  }

  /** The spectral centroid of a timbre, 0–1 from the lowest to the highest of the map. */
  brightness(point: Point): number {
    return (this.valueAt(this.data.centroid_hz, point) - this.lowest) / this.extent;
  }

  brightnessRank(point: Point): number {
    const hz = this.valueAt(this.data.centroid_hz, point);
    const all = this.data.centroid_hz.flat();
    return all.filter((other) => other < hz).length / all.length;
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

// Timbres in words, for the live region and for eyes.

import { asMix, type Point } from "./timbre";
import type { Instrument, TimbreMapData } from "../engine/bundle";

const BRIGHTNESS = ["dark", "warm", "balanced", "bright", "brilliant"];

/** "72 % trumpet, 28 % harp; bright" */
export function inWords(
  point: Point,
  instruments: Instrument[],
  map: TimbreMapData | null,
): string {
  const { shares, distance } = asMix(point, instruments);
  const percent = shares.map(({ share }) => Math.round(100 * share));
  const parts = shares
    .map(({ instrument }, i) =>
      shares.length === 1 && distance < 1e-3
        ? instrument.name
        : `${percent[i]} % ${instrument.name}`,
    )
    .filter((_, i) => percent[i] > 0);
  const beyond = distance > 0.1 ? "beyond " : "";
  const bright = map ? `; ${brightness(point, map)}` : "";
  return beyond + parts.join(", ") + bright;
}

/** Where a point's spectral centroid lies among those of the map. */
export function brightness(point: Point, map: TimbreMapData): string {
  const hz = valueOnMap(map, map.centroid_hz, point);
  const all = map.centroid_hz.flat();
  const below = all.filter((other) => other < hz).length / all.length;
  return BRIGHTNESS[Math.min(Math.floor(below * BRIGHTNESS.length), BRIGHTNESS.length - 1)];
}

/** A quantity of the map at a point, between the grid's points; at the rim beyond it. */
export function valueOnMap(map: TimbreMapData, values: number[][], [px, py]: Point): number {
  const place = (axis: number[], value: number): [number, number] => {
    const n = axis.length - 1;
    const at = Math.min(Math.max(((value - axis[0]) / (axis[n] - axis[0])) * n, 0), n);
    const low = Math.min(Math.floor(at), n - 1);
    return [low, at - low];
  };
  const [i, u] = place(map.x, px);
  const [j, v] = place(map.y, py);
  const row = (r: number[]) => r[i] + u * (r[i + 1] - r[i]);
  return row(values[j]) + v * (row(values[j + 1]) - row(values[j]));
}

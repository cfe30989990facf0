// Timbres in words, for the live region and for eyes.

import type { TimbreMap } from "./map";
import { asMix } from "./mix";
import type { Point } from "./timbre";
import type { Instrument } from "../engine/bundle";

const BRIGHTNESS = ["dark", "warm", "balanced", "bright", "brilliant"];

/** "72 % trumpet, 28 % harp; bright" */
export function inWords(point: Point, instruments: Instrument[], map: TimbreMap | null): string {
  const { shares, distance } = asMix(point, instruments);
  const percent = shares.map(({ share }) => Math.round(100 * share));
  const parts = shares
    .map(({ instrument }, i) =>
      shares.length === 1 && distance < 1e-3
        ? instrument.name
        : `${percent[i]} % ${instrument.name}`,
    )
    .filter((_, i) => percent[i] > 0);
  // In a plane, what is no mix of three lies outside all of them.
  const apart = point.length > 2 ? "near " : "beyond ";
  const bright = map ? `; ${brightness(point, map)}` : "";
  return (distance > 0.1 ? apart : "") + parts.join(", ") + bright;
}

/** Where a point's spectral centroid lies among those of the map. */
export function brightness(point: Point, map: TimbreMap): string {
  const hz = map.valueAt(map.data.centroid_hz, point);
  const all = map.data.centroid_hz.flat();
  const below = all.filter((other) => other < hz).length / all.length;
  return BRIGHTNESS[Math.min(Math.floor(below * BRIGHTNESS.length), BRIGHTNESS.length - 1)];
}

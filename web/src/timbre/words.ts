// Timbres in words, for the live region and for eyes.

import { asMix } from "./mix";
import type { Point } from "./timbre";
import type { Instrument } from "../engine/bundle";

const BRIGHTNESS = ["dark", "warm", "balanced", "bright", "brilliant"];

/** A map of the timbre space. */
export interface Shown {
  /** Its extent in the space's own units. */
  readonly width: number;
  /** Of what is on the map, the share whose spectral centroid is lower than a timbre's, from 0 to 1. */
  brightnessRank(point: Point, among: Instrument[]): number;
}

/** "72 % trumpet, 28 % harp; bright" */
export function inWords(point: Point, instruments: Instrument[], map: Shown | null): string {
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
  const bright = map ? `; ${brightness(map.brightnessRank(point, instruments))}` : "";
  return (distance > 0.1 ? apart : "") + parts.join(", ") + bright;
}

function brightness(rank: number): string {
  return BRIGHTNESS[Math.min(Math.floor(rank * BRIGHTNESS.length), BRIGHTNESS.length - 1)];
}

// Colour scales whose lightness rises all the way, so that they read without colour vision, too.

import constants from "../constants.json";
import type { Instrument } from "../engine/bundle";
import { isKit } from "../engine/kinds";

const EMBER = ["#17123a", "#3a1d63", "#7b2d73", "#bb4562", "#e7764b", "#f6b45f", "#fdebb3"];
const NIGHT = ["#0b0b12", "#1d1a3c", "#45286b", "#84347a", "#c94d6a", "#f08a5b", "#fce3b0"];

/** Okabe and Ito's colours, which most people with any colour vision can tell apart. */
export const TRACK_COLOURS = [
  "#e69f00",
  "#56b4e9",
  "#3fc79a",
  "#f0e442",
  "#6aa6ff",
  "#f0763b",
  "#d98cb8",
  "#c9c4bb",
];

export type Scale = Uint8ClampedArray;

function scale(stops: string[]): Scale {
  const parsed = stops.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const out = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (parsed.length - 1);
    const low = Math.min(Math.floor(at), parsed.length - 2);
    for (let c = 0; c < 3; c++) {
      out[3 * i + c] = parsed[low][c] + (at - low) * (parsed[low + 1][c] - parsed[low][c]);
    }
  }
  return out;
}

export const MAP_SCALE = scale(EMBER);
export const MEL_SCALE = scale(NIGHT);

const DRUM_KITS = "Drum Kits";
/** General MIDI's families of eight programs each, and kits. */
export const FAMILIES = [...constants.familyNames, DRUM_KITS];

export function familyOf(instrument: Pick<Instrument, "program" | "keys">): string {
  if (isKit(instrument)) return DRUM_KITS;
  return FAMILIES[Math.floor((instrument.program * constants.familyNames.length) / 128)];
}

/** Neighbours on the list are far from each other on the wheel of hues, and lighter or darker. */
export function familyColour(family: string): string {
  if (family === DRUM_KITS) return "#9a96a3";
  const i = FAMILIES.indexOf(family);
  const hue = (i * 360 * 5) / constants.familyNames.length;
  return `hsl(${Math.round(hue % 360)} 75% ${[66, 50][i % 2]}%)`;
}

/** The colour of a value in 0–1. */
export function scaleColour(value: number, colours: Scale): string {
  const i = 3 * Math.round(255 * value);
  return `rgb(${colours[i]} ${colours[i + 1]} ${colours[i + 2]})`;
}

/** Write a colour for a value in 0–1 into an image's pixel. */
export function paint(pixels: Uint8ClampedArray, at: number, value: number, colours: Scale): void {
  const i = 3 * Math.max(0, Math.min(255, Math.round(255 * value)));
  pixels[at] = colours[i];
  pixels[at + 1] = colours[i + 1];
  pixels[at + 2] = colours[i + 2];
  pixels[at + 3] = 255;
}

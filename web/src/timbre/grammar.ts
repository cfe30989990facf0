// How timbres are written: the grammar of src/timbrel/timbre/timbre.py, with the same words for what
// is wrong.

import constants from "../constants.json";
import type { Instrument } from "../engine/bundle";
import { findInstrument } from "./lookup";
import { knownMix, mixed, type Share } from "./mix";
import { constantTimbre, type Point, type Timbre } from "./timbre";

/** A timbre that was read, and what should be known of it, in words. */
export interface Reading {
  timbre: Timbre;
  remarks: string[];
}

const BREAKPOINT = /^\s*([0-9.eE+-]+)\s*s\s+(.*)$/s;
// A plus sign may also be part of a weight, as in 'harp:+1', or of a name, in brackets.
const BETWEEN_PARTS = /(?:,|(?<!:)(?<!\d[eE])\+)(?![^()]*\))/;
const PERCENT = String.raw`([0-9.]+)\s*%`;
const SHARE = new RegExp(
  String.raw`^(?:${PERCENT}\s+(?<after>.+)|(?<before>.+?)[\s:]\s*${PERCENT})$`,
  "s",
);
const NUMBER = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i;
const NOT_FINITE = /^[+-]?(?:inf|infinity|nan)$/i;

/** Read what a user or a link says: a name, a mix, coordinates, or a path of these. */
export function parseTimbre(spec: string, instruments: Instrument[]): Reading {
  const text = spec.trim();
  const breakpoints: { time: number; read: ReadPoint }[] = [];
  for (const part of text.split(";")) {
    const match = BREAKPOINT.exec(part);
    if (!match) {
      if (text.includes(";")) {
        throw new Error(
          `timbre '${text}': each part of a path starts with its time, as in '0s harp; 8s trumpet'`,
        );
      }
      const { point, remarks } = parsePoint(text, instruments);
      return { timbre: constantTimbre(point), remarks: [...new Set(remarks)] };
    }
    const time = toNumber(match[1], text);
    breakpoints.push({ time, read: parsePoint(match[2].trim(), instruments) });
  }
  return asPath(breakpoints, `timbre '${text}': `);
}

interface ReadPoint {
  point: Point;
  remarks: string[];
}

function asPath(breakpoints: { time: number; read: ReadPoint }[], where = ""): Reading {
  if (!breakpoints.length) throw new Error(`${where}has no breakpoints`);
  const times = breakpoints.map(({ time }) => time);
  if (times.some((time, i) => i > 0 && time <= times[i - 1])) {
    throw new Error(`${where}the times of a path must rise`);
  }
  const points = breakpoints.map(({ read }) => read.point);
  const remarks = new Set(breakpoints.flatMap(({ read }) => read.remarks));
  return { timbre: { times, points }, remarks: [...remarks] };
}

function parsePoint(text: string, instruments: Instrument[]): ReadPoint {
  if (!text) {
    throw new Error("the timbre is empty; give an instrument's name, a mix or coordinates");
  }
  if (!text.startsWith("@")) return parseMix(text, instruments);
  const size = instruments[0].embedding.length;
  const point = text
    .slice(1)
    .split(",")
    .map((part) => toNumber(part, text));
  if (point.length !== size) {
    throw new Error(`timbre '${text}': has ${point.length} coordinates; the model has ${size}`);
  }
  return { point, remarks: ifFar(text, point, instruments) };
}

/** One instrument, or several with weights. */
function parseMix(text: string, instruments: Instrument[]): ReadPoint {
  const parts = text.split(BETWEEN_PARTS).map((part) => weighted(part, text));
  if (parts.some((one) => one.isPercent) && !parts.every((one) => one.isPercent)) {
    throw new Error(`timbre '${text}': give each instrument of the mix its share in percent`);
  }
  const remarks: string[] = [];
  const shares: Share[] = parts.map(({ name, weight }) => {
    const { instrument, standsFor } = named(name, text, instruments);
    if (standsFor) {
      remarks.push(
        `the model has no ${standsFor}; ${instrument.name} sounds nearest to it and plays instead`,
      );
    }
    if (weight < 0) {
      remarks.push(`timbre '${text}': a negative weight leads away from its instrument`);
    }
    return { instrument, share: weight };
  });
  const total = shares.reduce((sum, { share }) => sum + share, 0);
  if (!(total > 0 && total < Infinity)) {
    throw new Error(`timbre '${text}': the weights of a mix must add up to more than 0`);
  }
  const point = mixed(shares);
  return { point, remarks: [...remarks, ...ifFar(text, point, instruments)] };
}

function named(name: string, text: string, instruments: Instrument[]) {
  try {
    return findInstrument(name, instruments);
  } catch (error) {
    throw new Error(`timbre '${text}': ${(error as Error).message}`);
  }
}

/** An instrument's name, its weight, and whether that was a share in percent. */
function weighted(part: string, text: string) {
  const share = SHARE.exec(part.trim());
  if (share) {
    const { after, before } = share.groups!;
    const weight = toNumber(share[1] ?? share[4], text) / 100;
    return { name: (after ?? before).trim(), weight, isPercent: true };
  }
  const colon = part.indexOf(":");
  if (colon < 0) return { name: part.trim(), weight: 1, isPercent: false };
  const weight = toNumber(part.slice(colon + 1), text);
  return { name: part.slice(0, colon).trim(), weight, isPercent: false };
}

/** A word on a point that lies far outside the instruments. */
function ifFar(text: string, point: Point, instruments: Instrument[]): string[] {
  const centre = point.map(
    (_, d) =>
      instruments.reduce((sum, { embedding }) => sum + embedding[d], 0) / instruments.length,
  );
  const length = (other: Point) => Math.hypot(...other.map((value, d) => value - centre[d]));
  const reach = Math.max(...instruments.map(({ embedding }) => length(embedding)));
  if (length(point) <= constants.farTimbre * reach) return [];
  return [`timbre '${text}': lies far outside the model's instruments and may not sound well`];
}

function toNumber(text: string, where: string): number {
  const number = text.trim();
  const isNumber = NUMBER.test(number);
  if (!isNumber && !NOT_FINITE.test(number)) {
    throw new Error(`timbre '${where}': '${number}' is not a number`);
  }
  const value = isNumber ? Number(number.replaceAll("_", "")) : NaN;
  if (!Number.isFinite(value)) throw new Error(`timbre '${where}': '${number}' is not finite`);
  return value;
}

/**
 * A timbre as `timbrel render --timbre` takes it: by names where it is an instrument or a mix. FiLM
 * vectors of its own have no place in it, but in a file only.
 */
export function timbreSpec(timbre: Timbre, instruments: Instrument[]): string {
  const points = timbre.points.map((point) => pointSpec(point, instruments));
  if (points.length === 1) return points[0];
  return points.map((spec, i) => `${Number(timbre.times[i].toFixed(4))}s ${spec}`).join("; ");
}

function pointSpec(point: Point, instruments: Instrument[]): string {
  const place = point.slice(0, instruments[0].embedding.length);
  const same = instruments.find(({ embedding }) =>
    embedding.every((value, d) => Math.abs(value - place[d]) < 1e-6),
  );
  if (same) return same.name;
  const mix = knownMix(point, instruments);
  if (mix) {
    const percent = (share: number) => Number((100 * share).toFixed(3));
    return mix.map(({ instrument, share }) => `${percent(share)}% ${instrument.name}`).join(" + ");
  }
  return "@" + place.map((value) => Number(value.toFixed(5))).join(",");
}

/** What a model's timbres are written and read with. */
export interface Space {
  instruments: Instrument[];
  /** Numbers of FiLM vectors of a timbre's own. */
  filmSize: number;
  /** The weights that these belong to, by bundles/bundle.py's `weights_id`. */
  weights: string;
}

/** The content of a .timbre file. */
export function timbreFile({ times, points }: Timbre, space: Space): string {
  const size = space.instruments[0].embedding.length;
  const own = points.some((point) => point.length > size);
  const path = times.map((time, i) => ({
    time_s: time,
    timbre: "@" + points[i].slice(0, size).join(","),
    ...(own && {
      film: Array.from({ length: space.filmSize }, (_, k) => points[i][size + k] ?? 0),
    }),
  }));
  const head = own
    ? { timbrel_timbre: constants.timbreFilmFileFormat, fitted_to: space.weights }
    : { timbrel_timbre: constants.timbreFileFormat };
  return JSON.stringify({ ...head, path }, null, 2) + "\n";
}

interface TimbreFile {
  timbrel_timbre?: unknown;
  fitted_to?: unknown;
  path?: { time_s: number; timbre: string; film?: unknown }[];
}

export function parseTimbreFile(text: string, space: Space): Reading {
  let content: TimbreFile;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error("is not a timbre file");
  }
  const { timbreFileFormat: plain, timbreFilmFileFormat: withFilm } = constants;
  const format = content?.timbrel_timbre;
  if ((format !== plain && format !== withFilm) || !Array.isArray(content.path)) {
    throw new Error(`is not a timbre file of format ${plain} or ${withFilm}`);
  }
  if (format === withFilm && content.fitted_to !== space.weights) {
    throw new Error("has FiLM vectors that were fitted to another model; choose that one first");
  }
  return asPath(
    content.path.map(({ time_s, timbre, film }) => {
      const { point, remarks } = parsePoint(String(timbre).trim(), space.instruments);
      const own = format === withFilm ? parseFilm(film, space.filmSize) : [];
      return {
        time: toNumber(String(time_s), "path"),
        read: { point: [...point, ...own], remarks },
      };
    }),
  );
}

function parseFilm(film: unknown, size: number): number[] {
  const whole = Array.isArray(film) && film.length === size && film.every(Number.isFinite);
  if (!whole) throw new Error(`must have ${size} numbers of FiLM vectors at each point`);
  return film;
}

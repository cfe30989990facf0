// Timbres: points of a model's space that can be mixed, moved and written down, in the grammar of
// src/timbrel/timbre/timbre.py.

import constants from "../constants.json";
import type { Instrument } from "../engine/bundle";
import { isKit } from "../engine/kinds";
import { nearestKit } from "../score/abilities";
import type { Track } from "../score/score";

/** Coordinates, and behind them FiLM vectors of the timbre's own where it has them (mel/film.py). */
export type Point = number[];

/** A way through the timbre space; one that stays the same has one breakpoint. */
export interface Timbre {
  times: number[];
  points: Point[];
}

export function constantTimbre(point: Point): Timbre {
  return { times: [0], points: [point] };
}

/** The point at a time; before the first breakpoint and after the last one the timbre stays there. */
export function timbreAt({ times, points }: Timbre, time: number): Point {
  let next = 0;
  while (next < times.length && times[next] <= time) next++;
  if (next === 0) return points[0];
  if (next === times.length) return points[next - 1];
  const share = (time - times[next - 1]) / (times[next] - times[next - 1]);
  return between(points[next - 1], points[next], share);
}

/** A point between two; one without FiLM vectors of its own adds none. */
function between(from: Point, to: Point, share: number): Point {
  const longer = from.length > to.length ? from : to;
  return longer.map((_, i) => {
    const value = from[i] ?? 0;
    return value + share * ((to[i] ?? 0) - value);
  });
}

/** The same path without the breakpoints that lie on straight lines between their neighbours. */
export function simplified({ times, points }: Timbre, tolerance = 1e-4): Timbre {
  const kept = [0];
  let i = 0;
  while (i < times.length - 1) {
    let reach = i + 1;
    while (reach + 1 < times.length) {
      const line = { times: [times[i], times[reach + 1]], points: [points[i], points[reach + 1]] };
      const straight = times.slice(i + 1, reach + 1).every((time, k) => {
        const there = timbreAt(line, time);
        return there.every(
          (value, d) => Math.abs((points[i + 1 + k][d] ?? 0) - value) <= tolerance,
        );
      });
      if (!straight) break;
      reach++;
    }
    kept.push(reach);
    i = reach;
  }
  return { times: kept.map((k) => times[k]), points: kept.map((k) => points[k]) };
}

/** A path with at most so many breakpoints, as near to the given one as they allow. */
export function thinned(timbre: Timbre, tolerance: number, most: number): Timbre {
  for (let allowed = Math.max(tolerance, 1e-4); ; allowed *= 1.5) {
    const found = simplified(timbre, allowed);
    if (found.times.length <= Math.max(most, 2)) return found;
  }
}

/** What a hand drew, as a path on the grid of frames; of several places in a frame the last counts. */
export function drawn(stroke: { time: number; point: Point }[], frameRate: number): Timbre {
  const frames = new Map<number, Point>();
  for (const { time, point } of stroke) {
    frames.set(Math.round(time * frameRate), point);
  }
  const inOrder = [...frames].sort(([a], [b]) => a - b);
  return {
    times: inOrder.map(([frame]) => frame / frameRate),
    points: inOrder.map(([, point]) => point),
  };
}

/** A path played again and again, as `timbrel render` takes it: written out up to `end` seconds. */
export function repeated(timbre: Timbre, period: number, end: number): Timbre {
  const times: number[] = [];
  const points: Point[] = [];
  for (let start = 0; start < end; start += period) {
    timbre.times.forEach((time, i) => {
      if (time >= period) return;
      times.push(start + time);
      points.push(timbre.points[i]);
    });
    if (timbre.times.length > 1) {
      times.push(start + period - 1e-3);
      points.push(timbreAt(timbre, period));
    }
  }
  return { times, points };
}

export interface Share {
  instrument: Instrument;
  share: number;
}

/** A mix of instruments as a point; shares are divided by their sum. */
export function mixed(shares: Share[]): Point {
  const total = shares.reduce((sum, { share }) => sum + share, 0);
  return shares[0].instrument.embedding.map(
    (_, d) =>
      shares.reduce((sum, { instrument, share }) => sum + share * instrument.embedding[d], 0) /
      total,
  );
}

const MOST_FOR_ALL_TRIPLES = 24; // instruments; of more, only good pairs get a third one
const GOOD_PAIRS = 100;

/** Which instruments are mixed, in which shares, and how well that describes a point. */
interface Candidate {
  members: number[];
  weights: number[];
  score: number;
}

/**
 * The mix of at most three instruments that comes nearest to a point, the largest share first. Fewer
 * instruments are preferred where they come nearly as near.
 */
export function asMix(
  point: Point,
  instruments: Instrument[],
): { shares: Share[]; distance: number } {
  const n = instruments.length;
  const from = instruments.map(({ embedding }) => embedding.map((value, d) => value - point[d]));
  const products = from.map((a) =>
    from.map((b) => a.reduce((sum, value, d) => sum + value * b[d], 0)),
  );
  const lengths = products.map((row, i) => Math.sqrt(row[i]));
  let best: Candidate | null = null;
  const consider = (members: number[]): Candidate | null => {
    const weights = barycentric(members, products);
    if (!weights) return null;
    let squared = 0;
    let spread = 0;
    weights.forEach((weight, i) => {
      spread += weight * lengths[members[i]];
      weights.forEach((other, j) => (squared += weight * other * products[members[i]][members[j]]));
    });
    // Among mixes that reach the point, the one of instruments that lie near it describes it best.
    const score = Math.sqrt(Math.max(squared, 0)) + 0.05 * spread + 1e-3 * members.length;
    const found = { members, weights, score };
    if (!best || score < best.score) best = found;
    return found;
  };
  let pairs: Candidate[] = [];
  for (let i = 0; i < n; i++) {
    consider([i]);
    for (let j = i + 1; j < n; j++) {
      const pair = consider([i, j]);
      if (pair) pairs.push(pair);
    }
  }
  if (n > MOST_FOR_ALL_TRIPLES) {
    pairs = pairs.sort((a, b) => a.score - b.score).slice(0, GOOD_PAIRS);
    for (const { members } of pairs) {
      for (let k = 0; k < n; k++) if (!members.includes(k)) consider([...members, k]);
    }
  } else {
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) for (let k = j + 1; k < n; k++) consider([i, j, k]);
    }
  }
  const { members, weights } = best!;
  const shares = members.map((member, i) => ({
    instrument: instruments[member],
    share: weights[i],
  }));
  const there = mixed(shares);
  const distance = Math.hypot(...there.map((value, d) => value - point[d]));
  shares.sort((a, b) => b.share - a.share);
  return { shares, distance };
}

/** The same mixes of instruments in the timbre space of another model. */
export function translated(timbre: Timbre, from: Instrument[], to: Instrument[]): Timbre {
  const standsFor = ({ name, program }: Instrument) =>
    to.find((one) => one.name === name) ?? nearestProgram(program, to);
  const points = timbre.points.map((point) =>
    mixed(
      asMix(point, from).shares.map(({ instrument, share }) => ({
        instrument: standsFor(instrument),
        share,
      })),
    ),
  );
  return { times: timbre.times, points };
}

/**
 * Positive weights of vertices whose sum is nearest to the origin; null if one is not positive.
 *
 * @param products of all vertices with each other
 */
function barycentric(members: number[], products: number[][]): number[] | null {
  const [o, ...rest] = members;
  // Of the sides from the first vertex to the others, and of the way from there to the origin.
  const sides = (i: number, j: number) =>
    products[i][j] - products[i][o] - products[o][j] + products[o][o];
  const along = (i: number) => products[o][o] - products[i][o];
  let found: number[] = [];
  if (rest.length === 1) found = [along(rest[0]) / sides(rest[0], rest[0])];
  else if (rest.length === 2) {
    const [i, j] = rest;
    const [a, b, c] = [sides(i, i), sides(i, j), sides(j, j)];
    const [p, q] = [along(i), along(j)];
    const determinant = a * c - b * b;
    if (Math.abs(determinant) < 1e-12) return null;
    found = [(p * c - q * b) / determinant, (a * q - b * p) / determinant];
  }
  const weights = [1 - found.reduce((sum, value) => sum + value, 0), ...found];
  return weights.every((value) => value > 1e-9) ? weights : null;
}

/** Parse what a user or a link says: a name, a mix, coordinates, or a path of these. */
export function parseTimbre(text: string, instruments: Instrument[]): Timbre {
  const parts = text.split(";");
  const timed = parts.map((part) => /^\s*([0-9.eE+-]+)\s*s\s+(.*)$/s.exec(part));
  if (parts.length === 1 && !timed[0]) return constantTimbre(parsePoint(text, instruments));
  const times: number[] = [];
  const points: Point[] = [];
  for (const match of timed) {
    if (!match) throw new Error(`timbre “${text}”: each part of a path starts with its time`);
    times.push(toNumber(match[1]));
    points.push(parsePoint(match[2], instruments));
  }
  return checked({ times, points });
}

function checked(timbre: Timbre): Timbre {
  if (!timbre.times.length) throw new Error("the path has no breakpoints");
  if (timbre.times.some((time, i) => i > 0 && time <= timbre.times[i - 1])) {
    throw new Error("the times of a path must rise");
  }
  return timbre;
}

function parsePoint(text: string, instruments: Instrument[]): Point {
  const trimmed = text.trim();
  const size = instruments[0].embedding.length;
  if (trimmed.startsWith("@")) {
    const point = trimmed.slice(1).split(",").map(toNumber);
    if (point.length !== size) {
      throw new Error(`timbre “${trimmed}” has ${point.length} coordinates; the model has ${size}`);
    }
    return point;
  }
  const shares = trimmed.split(",").map((part) => {
    const [name, weight] = part.split(":");
    const wanted = name.trim().toLowerCase().replace(/\s+/g, " ");
    const instrument = instruments.find((one) => one.name.toLowerCase() === wanted);
    if (!instrument) throw new Error(`there is no instrument “${wanted}”`);
    return { instrument, share: weight === undefined ? 1 : toNumber(weight) };
  });
  const total = shares.reduce((sum, { share }) => sum + share, 0);
  if (!(total > 0 && total < Infinity)) {
    throw new Error(`timbre “${trimmed}”: the weights of a mix must add up to more than 0`);
  }
  return mixed(shares);
}

function toNumber(text: string): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!Number.isFinite(value)) throw new Error(`“${text.trim()}” is not a number`);
  return value;
}

/**
 * A timbre as `timbrel render --timbre` takes it: an instrument's name where it is one. FiLM vectors
 * of its own have no place in it, but in a file only.
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
  return same?.name ?? "@" + place.map((value) => Number(value.toFixed(5))).join(",");
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

export function parseTimbreFile(text: string, space: Space): Timbre {
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
  return checked({
    times: content.path.map(({ time_s }) => toNumber(String(time_s))),
    points: content.path.map(({ timbre, film }) => [
      ...parsePoint(String(timbre), space.instruments),
      ...(format === withFilm ? parseFilm(film, space.filmSize) : []),
    ]),
  });
}

function parseFilm(film: unknown, size: number): number[] {
  const whole = Array.isArray(film) && film.length === size && film.every(Number.isFinite);
  if (!whole) throw new Error(`must have ${size} numbers of FiLM vectors at each point`);
  return film;
}

/** A model's instruments that may play a track: kits for drums, or the others. */
export function instrumentsFor({ isKit: drums }: Track, instruments: Instrument[]): Instrument[] {
  return instruments.filter((one) => isKit(one) === drums);
}

/** The instrument, or kit, that stands for a track's program, as timbre/assignment.py chooses. */
export function nearestInstrument(track: Track, instruments: Instrument[]): Instrument {
  const alike = instrumentsFor(track, instruments);
  if (!track.isKit) return nearestProgram(track.program, alike);
  const kit = nearestKit(
    track.program,
    alike.map(({ program }) => program),
  );
  return alike.find(({ program }) => program === kit)!;
}

/** The instrument whose sound is nearest to a MIDI program's, as score/instruments.py chooses. */
export function nearestProgram(program: number, instruments: Instrument[]): Instrument {
  const distances = constants.programDistances[program].split(",").map(Number);
  return instruments.reduce((nearest, other) => {
    const farther = distances[other.program] - distances[nearest.program];
    return (farther || other.program - nearest.program) < 0 ? other : nearest;
  });
}

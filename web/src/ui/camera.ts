// A camera that turns around the origin of a map in three dimensions: where places are in the picture,
// and which places a point of the picture stands for.

import type { Place } from "../timbre/space";

/** Angles in radians: around the upright axis, and above the horizon. */
export interface View {
  readonly turn: number;
  readonly tilt: number;
  /** 1 shows the whole unit ball. */
  readonly zoom: number;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
}

/** A place in the picture, in its pixels; nearer ones have a smaller `depth` and a larger `scale`. */
export interface Spot {
  readonly x: number;
  readonly y: number;
  readonly depth: number;
  /** Pixels of a unit of the map there. */
  readonly scale: number;
}

export const FRONT: View = { turn: 0.5, tilt: 0.35, zoom: 1.2 };
export const NEAREST_ZOOM = 6;
export const FARTHEST_ZOOM = 0.8;
const DISTANCE = 3.4; // of the eye from the origin
const FILLS = 0.47; // of the picture's shorter side, by the ball's radius at the origin
const MOST_TILT = Math.PI / 2;

/** Turned by a hand that drags: across the whole picture is half a turn. */
export function dragged(view: View, dx: number, dy: number, { width, height }: Picture): View {
  const perPixel = Math.PI / Math.min(width, height);
  return turned(view, dx * perPixel, dy * perPixel);
}

export function turned(view: View, turn: number, tilt: number): View {
  const upright = Math.min(Math.max(view.tilt + tilt, -MOST_TILT), MOST_TILT);
  return { ...view, turn: wrapped(view.turn + turn), tilt: upright };
}

export function zoomed(view: View, factor: number): View {
  return { ...view, zoom: Math.min(Math.max(view.zoom * factor, FARTHEST_ZOOM), NEAREST_ZOOM) };
}

/** The view that has a place in front, in the middle of the picture. */
export function facing(view: View, [x, y, z]: Place): View {
  if (Math.hypot(x, y, z) < 1e-9) return view;
  return { ...view, turn: wrapped(Math.atan2(-x, z)), tilt: Math.atan2(y, Math.hypot(x, z)) };
}

/** A share of the way from a view to another one, the shorter way round. */
export function between(from: View, to: View, share: number): View {
  return {
    turn: wrapped(from.turn + share * wrapped(to.turn - from.turn)),
    tilt: from.tilt + share * (to.tilt - from.tilt),
    zoom: from.zoom + share * (to.zoom - from.zoom),
  };
}

export function project(place: Place, view: View, picture: Picture): Spot {
  const [x, y, z] = rotated(place, view);
  const depth = DISTANCE - z;
  const scale = (unit(view, picture) * DISTANCE) / Math.max(depth, 0.1);
  return { x: picture.width / 2 + scale * x, y: picture.height / 2 - scale * y, depth, scale };
}

/** The place at a point of the picture that is so deep in it. */
export function placeAt(x: number, y: number, depth: number, view: View, picture: Picture): Place {
  const scale = (unit(view, picture) * DISTANCE) / depth;
  const seen: Place = [
    (x - picture.width / 2) / scale,
    (picture.height / 2 - y) / scale,
    DISTANCE - depth,
  ];
  return unrotated(seen, view);
}

/** How deep the spots around a point of the picture lie: those near it count most. */
export function depthAround(x: number, y: number, spots: Spot[]): number {
  let [sum, total] = [0, 0];
  for (const spot of spots) {
    const weight = 1 / ((spot.x - x) ** 2 + (spot.y - y) ** 2 + 1) ** 2;
    sum += weight * spot.depth;
    total += weight;
  }
  return sum / total;
}

function unit({ zoom }: View, { width, height }: Picture): number {
  return FILLS * Math.min(width, height) * zoom;
}

function rotated([x, y, z]: Place, { turn, tilt }: View): Place {
  const [across, toward] = spun(x, z, turn);
  const [near, up] = spun(toward, y, tilt);
  return [across, up, near];
}

function unrotated([across, up, near]: Place, { turn, tilt }: View): Place {
  const [toward, y] = spun(near, up, -tilt);
  const [x, z] = spun(across, toward, -turn);
  return [x, y, z];
}

function spun(a: number, b: number, angle: number): [number, number] {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [a * cos + b * sin, b * cos - a * sin];
}

/** An angle from −π to π. */
function wrapped(angle: number): number {
  return angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));
}

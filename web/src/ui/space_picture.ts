// Draws the map of instruments: dots from the farthest to the nearest, some of their names, and where
// the timbre is. A few hundred dots need no graphics processor.

import type { Place } from "../timbre/space";
import { FRONT, project, type Picture, type Spot, type View } from "./camera";

export interface Dot {
  name: string;
  place: Place;
  colour: string;
  /** Whether it may play what is selected, or was searched for; others are faint. */
  lively: boolean;
  /** Named whatever is around it: it is pointed at, or part of the mix. */
  prominent: boolean;
}

export interface Scene {
  dots: Dot[];
  /** Where the timbre is, and the instruments that it is mixed of with their shares. */
  puck: Place;
  parts: { place: Place; share: number }[];
  /** The timbre's way over time, and one that is being drawn. */
  way: Place[];
  trail: Place[];
  /** Where a timbre that was heard may lie. */
  cloud: Place[];
}

export interface Theme {
  ground: string;
  text: string;
  halo: string;
  faint: string;
  rim: string;
  puck: string;
}

const RADIUS = 0.0092; // of a dot at the origin, of the picture's side
const LEAST_RADIUS = 3.2; // pixels
const FONT = "12px Inter, 'Segoe UI', system-ui, sans-serif";
const LETTER = 6.4; // about its width
const LINE = 15;
const PIXELS_FOR_A_NAME = 9000;
const FAINT = 0.28; // opacity
const CLOUD = 0.09; // opacity of one of its discs
const CLOUD_RADIUS = 2.6; // of one, in those of an instrument's dot
const RINGS = 48; // corners of a circle

export function spotsOf(dots: Dot[], view: View, picture: Picture): Spot[] {
  return dots.map(({ place }) => project(place, view, picture));
}

export function radiusOf({ depth }: Spot, view: View, { width, height }: Picture): number {
  const radius = Math.max(RADIUS * Math.min(width, height), LEAST_RADIUS);
  return (radius * FRONT_DEPTH * Math.sqrt(view.zoom)) / depth;
}

const FRONT_DEPTH = project([0, 0, 0], FRONT, { width: 1, height: 1 }).depth;

export function drawSpace(
  context: CanvasRenderingContext2D,
  scene: Scene,
  view: View,
  picture: Picture,
  theme: Theme,
): void {
  context.clearRect(0, 0, picture.width, picture.height);
  drawHorizon(context, view, picture, theme);
  const spots = spotsOf(scene.dots, view, picture);
  const puck = project(scene.puck, view, picture);
  const order = spots.map((_, i) => i).sort((a, b) => spots[b].depth - spots[a].depth);
  for (const i of order)
    drawDot(context, scene.dots[i], spots[i], radiusOf(spots[i], view, picture), theme);
  drawCloud(context, scene.cloud, view, picture, theme);
  drawLine(context, scene.way, view, picture, theme, [2, 5]);
  drawLine(context, scene.trail, view, picture, theme, []);
  for (const { place, share } of scene.parts) {
    const part = project(place, view, picture);
    context.strokeStyle = theme.puck;
    context.lineWidth = 1 + 3 * share;
    context.beginPath();
    context.moveTo(puck.x, puck.y);
    context.lineTo(part.x, part.y);
    context.stroke();
  }
  drawPuck(context, puck, theme);
  drawNames(context, scene.dots, spots, order.reverse(), view, picture, theme);
}

function drawDot(
  context: CanvasRenderingContext2D,
  { colour, lively }: Dot,
  spot: Spot,
  radius: number,
  { rim }: Theme,
): void {
  context.globalAlpha = lively ? clarity(spot) : FAINT;
  context.beginPath();
  context.arc(spot.x, spot.y, lively ? radius : 0.7 * radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  context.strokeStyle = rim;
  context.lineWidth = 1;
  context.stroke();
  context.globalAlpha = 1;
}

/** What is far away is paler. */
function clarity({ depth }: Spot): number {
  return Math.min(Math.max(1 - 0.32 * (depth - FRONT_DEPTH + 0.7), 0.4), 1);
}

/** The equator, which says how the map is turned. */
function drawHorizon(
  context: CanvasRenderingContext2D,
  view: View,
  picture: Picture,
  { faint }: Theme,
): void {
  context.strokeStyle = faint;
  context.lineWidth = 1;
  context.beginPath();
  for (let i = 0; i <= RINGS; i++) {
    const angle = (2 * Math.PI * i) / RINGS;
    const { x, y } = project([Math.cos(angle), 0, Math.sin(angle)], view, picture);
    if (i) context.lineTo(x, y);
    else context.moveTo(x, y);
  }
  context.stroke();
}

/** Faint discs, which are denser where it is likelier. */
function drawCloud(
  context: CanvasRenderingContext2D,
  places: Place[],
  view: View,
  picture: Picture,
  { puck }: Theme,
): void {
  context.globalAlpha = CLOUD;
  context.fillStyle = puck;
  for (const place of places) {
    const spot = project(place, view, picture);
    context.beginPath();
    context.arc(spot.x, spot.y, CLOUD_RADIUS * radiusOf(spot, view, picture), 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
}

function drawLine(
  context: CanvasRenderingContext2D,
  places: Place[],
  view: View,
  picture: Picture,
  { text }: Theme,
  dashes: number[],
): void {
  if (places.length < 2) return;
  context.strokeStyle = text;
  context.lineWidth = 2;
  context.setLineDash(dashes);
  context.beginPath();
  places.forEach((place, i) => {
    const { x, y } = project(place, view, picture);
    if (i) context.lineTo(x, y);
    else context.moveTo(x, y);
  });
  context.stroke();
  context.setLineDash([]);
}

function drawPuck(context: CanvasRenderingContext2D, { x, y }: Spot, theme: Theme): void {
  for (const [colour, width] of [
    [theme.halo, 6],
    [theme.puck, 3],
  ] as const) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, 11, 0, 2 * Math.PI);
    context.stroke();
  }
}

interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Names beside their dots, those in front first, where no other name is. */
function drawNames(
  context: CanvasRenderingContext2D,
  dots: Dot[],
  spots: Spot[],
  fromFront: number[],
  view: View,
  picture: Picture,
  theme: Theme,
): void {
  context.font = FONT;
  context.textBaseline = "middle";
  context.lineJoin = "round";
  const first = fromFront.filter((i) => dots[i].prominent);
  const others = fromFront.filter((i) => !dots[i].prominent && dots[i].lively);
  let room = first.length + (picture.width * picture.height) / PIXELS_FOR_A_NAME;
  const taken: Box[] = [];
  for (const i of [...first, ...others]) {
    if (room < 1) return;
    const { name, prominent } = dots[i];
    const spot = spots[i];
    const gap = radiusOf(spot, view, picture) + 4;
    const box = boxesFor(name, spot, gap, prominent).find(
      (one) => isWithin(one, picture) && !taken.some((other) => overlap(other, one)),
    );
    if (!box) continue;
    taken.push(box);
    room--;
    context.globalAlpha = prominent ? 1 : clarity(spot);
    context.strokeStyle = theme.halo;
    context.lineWidth = 3;
    context.strokeText(name, box.left, box.top + LINE / 2);
    context.fillStyle = theme.text;
    context.fillText(name, box.left, box.top + LINE / 2);
  }
  context.globalAlpha = 1;
}

/** Where a name may stand, the best first: beside its dot, or anywhere around it if it must. */
function boxesFor(name: string, { x, y }: Spot, gap: number, must: boolean): Box[] {
  const size = LETTER * name.length;
  const [right, left, middle] = [x + gap, x - gap - size, x - size / 2];
  const beside: [number, number][] = [
    [right, y],
    [left, y],
  ];
  const around: [number, number][] = [
    [middle, y - LINE],
    [middle, y + LINE],
    [right, y - LINE],
    [right, y + LINE],
    [left, y - LINE],
    [left, y + LINE],
  ];
  return (must ? [...beside, ...around] : beside).map(([at, line]) => ({
    left: at,
    top: line - LINE / 2,
    right: at + size,
    bottom: line + LINE / 2,
  }));
}

function isWithin({ left, top, right, bottom }: Box, { width, height }: Picture): boolean {
  return left >= 0 && top >= 0 && right <= width && bottom <= height;
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

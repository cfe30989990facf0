// Places for the tracks of scores that do not set any, as src/timbrel/score/placement.py.

import constants from "../constants.json";
import { constant, type Automation, type Score, type Track } from "./score";

const CENTRE = constant(0);

const [firstBass, endOfBasses] = constants.basses;

/** The score with a seat for each of its tracks. */
export function seated(score: Score): Score {
  const { tracks, drumTracks } = score;
  const found = places([...tracks, ...drumTracks]);
  return { ...score, tracks: tracks.map((track, i) => ({ ...track, seat: found[i] })) };
}

/** Where tracks are heard: in their seats, or dry, where those without a pan are in the centre. */
export function pansOf(tracks: readonly Track[], dry: boolean): Automation[] {
  return tracks.map(({ pan, seat }) => (dry ? pan : (pan ?? seat)) ?? CENTRE);
}

/** The pan of each track. */
export function places(tracks: readonly Track[]): Automation[] {
  const isCentral = ({ isKit, program }: Track) =>
    isKit || (program >= firstBass && program < endOfBasses);
  const seats = new Map<number, Automation>();
  const kinds = new Set(tracks.map((track) => `${track.isKit} ${track.program}`));
  if (kinds.size > 1 && tracks.every((track) => track.pan === null)) {
    for (const track of tracks) {
      if (isCentral(track) || seats.has(track.program)) continue;
      seats.set(track.program, constant(constants.seats[seats.size % constants.seats.length]));
    }
  }
  return tracks.map(
    (track) => track.pan ?? ((!isCentral(track) && seats.get(track.program)) || constant(0)),
  );
}

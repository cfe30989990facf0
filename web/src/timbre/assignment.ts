// Which timbres the tracks of a score get, as src/timbrel/timbre/assignment.py chooses them.

import type { Instrument } from "../engine/bundle";
import { isKit } from "../engine/kinds";
import type { Track } from "../score/score";
import { kitFor, standIn } from "./lookup";

/** A model's instruments that may play a track: kits for drums, or the others. */
export function instrumentsFor({ isKit: drums }: Track, instruments: Instrument[]): Instrument[] {
  return instruments.filter((one) => isKit(one) === drums);
}

/** The instrument, or kit, that stands for a track's program. */
export function nearestInstrument(track: Track, instruments: Instrument[]): Instrument {
  const alike = instrumentsFor(track, instruments);
  return track.isKit ? kitFor(track.program, alike) : standIn(track.program, alike);
}

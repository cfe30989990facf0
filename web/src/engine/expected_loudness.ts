// How loud a score will be, as src/timbrel/expected_loudness.py expects it of its notes.

import constants from "../constants.json";
import { pitchOf, valueAt, type Note, type Track } from "../score/score";
import { timbreAt, type Timbre } from "../timbre/timbre";
import type { Instrument } from "./bundle";
import { isKit } from "./kinds";
import { blockPowers, gatedPower, lufs } from "./loudness";

const { stepS, referenceKey, referenceVelocity, releaseS, nearest, gain } = constants.loudness;
const key = (isKit: boolean, program: number) => `${isKit ? "kit" : "program"} ${program}`;
const LEVELS = new Map(
  constants.loudness.levels.map(({ isKit, program, level }) => [key(isKit, program), level]),
);
const CHANNELS = 2;

/** What of a model decides how loud it is. */
export interface Loud {
  gain: number;
  instruments: Omit<Instrument, "name">[];
}

/** The loudness of all tracks together, for so many seconds. */
export function expectedLoudness(
  tracks: readonly Track[],
  timbres: readonly Timbre[],
  model: Loud,
  seconds: number,
): number {
  const powers = new Float64Array(Math.max(Math.round(seconds / stepS), 1));
  tracks.forEach((track, i) => {
    const own = new Float64Array(powers.length);
    for (const note of track.notes) {
      if (note.start < seconds)
        addNote(own, note, levelAt(timbreAt(timbres[i], note.start), model));
    }
    own.forEach((power, k) => (powers[k] += valueAt(track.gain, k * stepS) ** 2 * power));
  });
  const scale = CHANNELS * (model.gain / gain) ** 2;
  return lufs(gatedPower(blockPowers(powers.map((power) => power * scale))));
}

function addNote(powers: Float64Array, note: Note, level: number[]): void {
  const { velocity, start, end } = note;
  const [levelDb, decayS, octaveDb, velocityDb] = level;
  const stop = end + releaseS;
  const db =
    levelDb +
    (octaveDb * (pitchOf(note) - referenceKey)) / 12 +
    velocityDb * Math.log2(velocity / referenceVelocity);
  const scale = (10 ** (db / 10) * decayS) / stepS;
  const last = Math.min(Math.floor(stop / stepS), powers.length - 1);
  for (let k = Math.max(Math.floor(start / stepS), 0); k <= last; k++) {
    // From where to where in the step the note sounds, since it began.
    const from = Math.max(k * stepS, start) - start;
    const to = Math.min((k + 1) * stepS, stop) - start;
    if (to > from) powers[k] += scale * (Math.exp(-from / decayS) - Math.exp(-to / decayS));
  }
}

/** The level, decay and slopes of a point of a model's space: those of the instruments near by. */
function levelAt(point: readonly number[], { instruments }: Loud): number[] {
  const keyOf = (one: Loud["instruments"][number]) => key(isKit(one), one.program);
  const known = instruments.filter((one) => LEVELS.has(keyOf(one)));
  const levels = known.length ? known.map((one) => LEVELS.get(keyOf(one))!) : [...LEVELS.values()];
  const weights = levels.map((_, i) => {
    if (!known.length) return 1;
    const distance = Math.hypot(...known[i].embedding.map((value, k) => value - point[k]));
    return Math.max(distance, nearest) ** -2;
  });
  const sum = weights.reduce((a, b) => a + b, 0);
  return levels[0].map(
    (_, k) => levels.reduce((all, level, i) => all + weights[i] * level[k], 0) / sum,
  );
}

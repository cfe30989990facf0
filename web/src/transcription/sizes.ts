// The sizes of a transcriber, as src/timbrel/transcription/sizes.py has them.

import constants from "../constants.json";
import { roundHalfEven } from "../engine/rounding";

/** What a network says of each key and frame, in the order of its outputs. */
export const [ONSET, FRAME, OFFSET, VELOCITY, BEND] = constants.transcription.heads.keys();
export const N_HEADS = constants.transcription.heads.length;

/** Probabilities, 0 to 1, from which something counts. */
export interface Thresholds {
  onset: number;
  frame: number;
  offset: number;
}

/** Of a transcriber's bundle. */
export interface TranscriberConfig {
  model: {
    sample_rate: number;
    hop_length: number;
    windows: number[];
    bands_per_semitone: number;
    harmonics: number[];
    scale: number;
    dilations: number[];
    ahead: number[];
  };
  thresholds: Thresholds;
}

export type Sizes = TranscriberConfig["model"];

export function frameRateOf({ sample_rate, hop_length }: Sizes): number {
  return sample_rate / hop_length;
}

/** How many bands each harmonic lies above a key's own. */
function shiftsOf({ bands_per_semitone, harmonics }: Sizes): number[] {
  const octave = 12 * bands_per_semitone;
  return harmonics.map((harmonic) => roundHalfEven(octave * Math.log2(harmonic)));
}

/** The centre of each band of the front end, as a MIDI pitch. */
export function bandPitches(sizes: Sizes): number[] {
  const shifts = shiftsOf(sizes);
  const [low, high] = [Math.min(...shifts), Math.max(...shifts)];
  const step = 1 / sizes.bands_per_semitone;
  const first = constants.lowestPitch - ((sizes.bands_per_semitone - 1) / 2) * step + low * step;
  const nBands = constants.nPitches * sizes.bands_per_semitone + high - low;
  return Array.from({ length: nBands }, (_, band) => first + band * step);
}

/** How long after a sound the network can speak of it, in seconds. */
export function latencyOf(sizes: Sizes): number {
  const samples = framesAhead(sizes) * sizes.hop_length + Math.max(...sizes.windows) / 2;
  return samples / sizes.sample_rate;
}

/** How many frames the network hears beyond the one that it speaks of. */
export function framesAhead({ dilations, ahead }: Sizes): number {
  return dilations.reduce(
    (sum, dilation, i) => sum + dilation * ahead[i],
    constants.transcription.stemAhead,
  );
}

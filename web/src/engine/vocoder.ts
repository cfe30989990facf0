// What every vocoder is to the engine: hops of mel in, of audio out. States are values that are never
// altered, so that the engine can go back to an earlier one.

import type { MelGeometry } from "./bundle";
import type { Ensemble } from "./ensemble";

export interface Vocoder<State = unknown> {
  readonly mel: MelGeometry;
  /** Audio of a frame is given so many frames after its mel was taken. */
  readonly latencyFrames: number;

  /** Before frame `frame`, as after long silence. */
  start(ensemble: Ensemble, frame: number): Promise<State>;

  /**
   * Take mel (tracks, frames, n_mels) of the frames from `frame` on; gives as many hops of audio
   * (tracks, samples), those that begin `latencyFrames` earlier.
   */
  step(
    ensemble: Ensemble,
    mel: Float32Array,
    frame: number,
    state: State,
  ): Promise<{ audio: Float32Array; state: State }>;

  /**
   * The state of an ensemble whose rows are taken from others, counted through all of them. Vocoders
   * that are too slow to be played do without: while a file is made its tracks stay.
   */
  regrouped?(states: State[], rows: readonly number[]): State;

  /** Let go of what a state holds that no garbage collector sees. */
  end?(state: State): void;
}

// The parallel vocoder as it runs, as src/timbrel/vocoder/parallel_stream.py runs it. What the graph
// remembers is read off its own interface: each input `x` with an output `x_out` is a state.

import type { BundleConfig, MelGeometry } from "./bundle";
import { pickedRows, type Ensemble } from "./ensemble";
import { Excitation, N_ENVELOPES, stackNotes } from "./excitation";
import { openSession, ort, run } from "./runtime";
import type { Vocoder } from "./vocoder";
import type { PianoRoll } from "../score/roll";

type State = Record<string, ort.Tensor>;

export class ParallelVocoder implements Vocoder<State> {
  readonly mel: MelGeometry;
  readonly latencyFrames: number;
  private readonly lookahead: number;
  private readonly lead: number;
  private readonly nPast: number;
  private readonly nBins: number;
  private readonly onsetGridS: number;
  private readonly knowsScore: boolean;
  private readonly stateShapes: Record<string, readonly (number | string)[]> = {};
  private readonly excitations = new WeakMap<PianoRoll, Excitation>();

  private constructor(
    config: BundleConfig,
    private readonly session: ort.InferenceSession,
    private readonly seed: number,
  ) {
    const sizes = config.model as Record<string, number>;
    const half = sizes.n_fft / 2 / sizes.hop_length;
    this.mel = config.mel;
    this.lookahead = sizes.lookahead;
    this.latencyFrames = sizes.lookahead + half;
    this.lead = half - 1; // pulses are wanted up to the end of the window around a frame
    this.nPast = (sizes.n_blocks + 1) * (sizes.kernel_size - 1);
    this.nBins = sizes.n_fft / 2 + 1;
    this.onsetGridS = sizes.onset_grid_s;
    this.knowsScore = session.inputNames.includes("gain");
    for (const input of session.inputMetadata) {
      if (input.isTensor && session.outputNames.includes(`${input.name}_out`)) {
        this.stateShapes[input.name] = input.shape;
      }
    }
  }

  static async load(
    config: BundleConfig,
    files: Record<string, Uint8Array>,
    seed = 0,
  ): Promise<ParallelVocoder> {
    return new ParallelVocoder(config, await openSession(files, "vocoder.onnx"), seed);
  }

  async start(ensemble: Ensemble, frame: number): Promise<State> {
    const n = ensemble.tracks.length;
    const state: State = {};
    for (const [name, shape] of Object.entries(this.stateShapes)) {
      const dims = shape.map((size) => (typeof size === "number" ? size : n));
      const length = dims.reduce((a, b) => a * b, 1);
      state[name] = new ort.Tensor(new Float32Array(length), dims);
    }
    // Silence before the first frame brings the state to where it would be after long silence.
    const silence = new Float32Array(n * this.nPast * this.mel.n_mels);
    silence.fill(Math.log(this.mel.floor));
    return (await this.step(ensemble, silence, frame - this.nPast, state)).state;
  }

  async step(
    { tracks, rolls }: Ensemble,
    mel: Float32Array,
    frame: number,
    state: State,
  ): Promise<{ audio: Float32Array; state: State }> {
    const n = tracks.length;
    const nFrames = mel.length / n / this.mel.n_mels;
    const outputs = await run(this.session, {
      mel: new ort.Tensor(mel, [n, nFrames, this.mel.n_mels]),
      noise: new ort.Tensor(this.noise(tracks, frame - this.lookahead, nFrames), [
        n,
        nFrames,
        this.nBins,
      ]),
      ...(this.knowsScore ? this.notes(rolls, frame + this.lead, nFrames) : {}),
      ...state,
    });
    const next = Object.keys(state).map((name) => [name, outputs[`${name}_out`]] as const);
    return { audio: outputs.audio.data as Float32Array, state: Object.fromEntries(next) };
  }

  regrouped(states: State[], rows: readonly number[]): State {
    const next = Object.keys(states[0]).map((name) => {
      const tensors = states.map((state) => state[name]);
      const [, ...dims] = tensors[0].dims;
      const size = dims.reduce((a, b) => a * b, 1);
      const data = pickedRows(
        tensors.map((tensor) => tensor.data as Float32Array),
        size,
        rows,
      );
      return [name, new ort.Tensor(data, [rows.length, ...dims])] as const;
    });
    return Object.fromEntries(next);
  }

  /** Phases in cycles, which depend on the seed, the track, the frame and the bin alone. */
  private noise(tracks: readonly number[], start: number, nFrames: number): Float32Array {
    const noise = new Float32Array(tracks.length * nFrames * this.nBins);
    const seed = scattered(this.seed);
    let at = 0;
    for (const track of tracks) {
      const voice = scattered(track ^ seed);
      for (let k = 0; k < nFrames; k++) {
        const key = scattered(voice ^ (start + k));
        for (let bin = 0; bin < this.nBins; bin++) {
          noise[at++] = (scattered(key + Math.imul(bin, 0x9e3779b9)) >>> 8) * 2 ** -24;
        }
      }
    }
    return noise;
  }

  private notes(
    rolls: readonly PianoRoll[],
    start: number,
    nFrames: number,
  ): Record<string, ort.Tensor> {
    const found = rolls.map((roll) => this.excitation(roll).frames(start, start + nFrames));
    const { nNotes, phase, step, harmonics, gain, first } = stackNotes(found, nFrames);
    const n = rolls.length;
    return {
      phase: new ort.Tensor(phase, [n, nNotes, nFrames]),
      step: new ort.Tensor(step, [n, nNotes, 1]),
      harmonics: new ort.Tensor(harmonics, [n, nNotes, 1]),
      gain: new ort.Tensor(gain, [n, nNotes, nFrames, N_ENVELOPES]),
      first: new ort.Tensor(first, [n, nNotes, nFrames]),
    };
  }

  private excitation(roll: PianoRoll): Excitation {
    let found = this.excitations.get(roll);
    if (!found) {
      const { sample_rate, hop_length } = this.mel;
      found = new Excitation(roll, sample_rate, hop_length, this.onsetGridS);
      this.excitations.set(roll, found);
    }
    return found;
  }
}

/** Scatter 32-bit numbers over all 32-bit numbers, one to one (Wellons' hash "lowbias32"). */
export function scattered(number: number): number {
  let x = number >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  x ^= x >>> 16;
  return x >>> 0;
}

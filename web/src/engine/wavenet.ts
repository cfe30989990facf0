// A WaveNet for WAV files, as src/timbrel/vocoder/wavenet_stream.py runs it: too slow to be played, and
// it only goes on, so its state is the engine's own, which alters.

import constants from "../constants.json";
import {
  hasRelaxedSimd,
  loadWaveNet,
  type Precision,
  type WaveNetConfig,
  type WaveNetEngine,
  type WaveNetSession,
} from "../../../native/wasm/wavenet.mjs";
import type { BundleConfig, MelGeometry } from "./bundle";
import type { Ensemble } from "./ensemble";
import { tensors } from "./safetensors";
import type { Vocoder } from "./vocoder";

export const WAVENET = "wavenet";
const { wavenetFramesBefore } = constants;
const SLICE_MS = 15; // after which what is played has its turn

export interface Build {
  file: string;
  /** With which it is fastest: docs/bench/wasm.json. */
  precision: Precision;
}
const PLAIN: Build = { file: "wavenet.wasm", precision: "int16" };
const RELAXED: Build = { file: "wavenet-relaxed.wasm", precision: "int8" };

/** The build of the engine for this browser. */
export function wavenetBuild(): Build {
  return hasRelaxedSimd() ? RELAXED : PLAIN;
}

function isCategorical(output: unknown): boolean {
  return output === undefined || output === "categorical";
}

/** That of the products: means of a continuous output have more digits than rounded ones give. */
export function precisionOf({ output }: WaveNetConfig, { precision }: Build): Precision {
  return isCategorical(output) ? precision : "float32";
}

/** Frames that a stream is silent, by force, before it begins: `frames_of_silence` in Python. */
export function framesOfSilence(config: WaveNetConfig): number {
  const reach = config.dilations.reduce((sum, dilation) => sum + dilation, 0);
  return Math.ceil((reach * (config.kernel_size - 1) + config.input_taps) / config.hop_length);
}

export interface WaveNetState {
  session: WaveNetSession;
  begun: boolean;
  /** Samples that are still to be silent. */
  silent: number;
}

export class WaveNet implements Vocoder<WaveNetState> {
  readonly mel: MelGeometry;
  readonly latencyFrames: number;
  private readonly silentFrames: number;
  private readonly silence: number; // as a sample

  constructor(
    config: BundleConfig,
    private readonly engine: WaveNetEngine,
    private readonly seed = 0,
  ) {
    this.mel = config.mel;
    this.latencyFrames = config.engine!.n_around - 1 - wavenetFramesBefore;
    this.silentFrames = framesOfSilence(config.engine!);
    const { output, n_parameters: levels } = config.engine!;
    this.silence = isCategorical(output) ? (levels as number) / 2 : 0;
  }

  static async load(
    config: BundleConfig,
    files: Record<string, Uint8Array>,
    wasm: BufferSource,
  ): Promise<WaveNet> {
    const module = await loadWaveNet(wasm);
    const weights = tensors(Object.values(files)[0]);
    const precision = precisionOf(config.engine!, wavenetBuild());
    return new WaveNet(config, module.engine(config.engine!, weights, precision));
  }

  async start({ tracks }: Ensemble): Promise<WaveNetState> {
    const session = this.engine.session(tracks.length, { seed: this.seed });
    const frames = wavenetFramesBefore + this.silentFrames;
    const silence = new Float32Array(tracks.length * frames * this.mel.n_mels);
    session.feed(normalised(silence.fill(Math.log(this.mel.floor)), this.mel));
    return { session, begun: false, silent: this.silentFrames * this.mel.hop_length };
  }

  async step(
    { tracks }: Ensemble,
    mel: Float32Array,
    _frame: number,
    { session, begun, silent }: WaveNetState,
  ): Promise<{ audio: Float32Array; state: WaveNetState }> {
    const n = tracks.length;
    const nSamples = (mel.length / n / this.mel.n_mels) * this.mel.hop_length;
    const audio = new Float32Array(n * nSamples);
    session.feed(normalised(mel, this.mel));
    const forced = Math.min(silent, session.ready);
    if (forced) session.force(new Float32Array(n * forced).fill(this.silence));
    // Before the first sample there is silence.
    let done = begun ? 0 : this.latencyFrames * this.mel.hop_length;
    let began = performance.now();
    while (done < nSamples) {
      const hop = session.sample(this.mel.hop_length);
      for (let i = 0; i < n; i++) {
        const own = hop.subarray(i * this.mel.hop_length, (i + 1) * this.mel.hop_length);
        audio.set(own, i * nSamples + done);
      }
      done += this.mel.hop_length;
      if (performance.now() - began < SLICE_MS) continue;
      await new Promise((resolve) => setTimeout(resolve, 0));
      began = performance.now();
    }
    return { audio, state: { session, begun: true, silent: silent - forced } };
  }

  end({ session }: WaveNetState): void {
    session.close();
  }
}

/** As WaveNets read mels: the floor is −1 and 0 dB is 1, in single precision as Python computes. */
export function normalised(mel: Float32Array, { floor }: MelGeometry): Float32Array {
  const half = Math.fround(-Math.log(floor) / 2);
  return mel.map((value) => Math.fround(value / half) + 1);
}

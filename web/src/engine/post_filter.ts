// A vocoder whose sound is held to its mel, as src/timbrel/vocoder/post_filter.py does it; for those
// that only make files, whose states alter.

import constants from "../constants.json";
import { joined } from "../audio/joined";
import type { BundleConfig, MelGeometry } from "./bundle";
import type { Ensemble } from "./ensemble";
import { bandCentresHz, melBands, type Band } from "./mel_bands";
import { OverlapAdd, type Overlap, type Spectra } from "./overlap_add";
import type { Vocoder } from "./vocoder";

const MOST_LOG_GAIN = (constants.postFilterMostGainDb / 20) * Math.LN10;

/** One pass over one track. */
interface PassState {
  /** Samples that come before the first frame. */
  early: number;
  audio: Float32Array;
  mel: Float32Array;
  left: Overlap;
  /** Before what the first window gives there is half a window too much. */
  excess: number;
  ready: Float32Array;
}

export interface PostFilteredState<State> {
  inner: State;
  passes: PassState[][]; // of each track
}

export class PostFiltered<State> implements Vocoder<PostFilteredState<State>> {
  readonly mel: MelGeometry;
  readonly latencyFrames: number;
  private readonly passLatency: number; // frames
  private readonly transform: OverlapAdd;
  private readonly bands: Band[];
  private readonly between: { band: number; share: number }[]; // of each bin

  constructor(
    private readonly vocoder: Vocoder<State>,
    private readonly nPasses: number,
  ) {
    this.mel = vocoder.mel;
    const { n_fft, hop_length } = this.mel;
    this.passLatency = n_fft / hop_length - 1;
    this.latencyFrames = vocoder.latencyFrames + nPasses * this.passLatency;
    this.transform = new OverlapAdd(n_fft, hop_length);
    this.bands = melBands(this.mel);
    this.between = placesBetween(this.mel);
  }

  async start(ensemble: Ensemble, frame: number): Promise<PostFilteredState<State>> {
    const { n_fft, hop_length } = this.mel;
    const { passLatency, nPasses } = this;
    const before = this.vocoder.latencyFrames;
    const passes = ensemble.tracks.map(() =>
      Array.from({ length: nPasses }, (_, i) => ({
        early: (before + i * passLatency) * hop_length,
        audio: new Float32Array(n_fft / 2),
        mel: new Float32Array(0),
        left: this.transform.begin(),
        excess: n_fft / 2,
        ready: new Float32Array((before + (i + 1) * passLatency) * hop_length),
      })),
    );
    return { inner: await this.vocoder.start(ensemble, frame), passes };
  }

  async step(
    ensemble: Ensemble,
    mel: Float32Array,
    frame: number,
    { inner, passes }: PostFilteredState<State>,
  ): Promise<{ audio: Float32Array; state: PostFilteredState<State> }> {
    const { audio, state } = await this.vocoder.step(ensemble, mel, frame, inner);
    const n = ensemble.tracks.length;
    const filtered = new Float32Array(audio.length);
    passes.forEach((ofTrack, track) => {
      let own = rowOf(audio, n, track);
      for (const pass of ofTrack) own = this.passed(own, rowOf(mel, n, track), pass);
      filtered.set(own, track * own.length);
    });
    return { audio: filtered, state: { inner: state, passes } };
  }

  end({ inner }: PostFilteredState<State>): void {
    this.vocoder.end?.(inner);
  }

  private passed(audio: Float32Array, mel: Float32Array, pass: PassState): Float32Array {
    const { n_fft, hop_length, n_mels } = this.mel;
    const early = Math.min(pass.early, audio.length);
    pass.early -= early;
    pass.audio = joined(pass.audio, audio.subarray(early));
    pass.mel = joined(pass.mel, mel);
    const n = Math.floor((pass.audio.length - n_fft) / hop_length) + 1;
    if (n > 0) {
      const spectra = this.transform.transformed(pass.audio, n);
      this.filter(spectra, pass.mel);
      const { sound, left } = this.transform.add(spectra, pass.left);
      pass.left = left;
      pass.audio = pass.audio.slice(n * hop_length);
      pass.mel = pass.mel.slice(n * n_mels);
      const excess = Math.min(pass.excess, sound.length);
      pass.excess -= excess;
      pass.ready = joined(pass.ready, sound.subarray(excess));
    }
    const out = pass.ready.slice(0, audio.length);
    pass.ready = pass.ready.slice(audio.length);
    return out;
  }

  private filter({ n, re, im }: Spectra, mel: Float32Array): void {
    const { n_mels, floor } = this.mel;
    const { nBins } = this.transform;
    const lacking = new Float64Array(n_mels + 1);
    for (let frame = 0; frame < n; frame++) {
      const row = frame * nBins;
      this.bands.forEach(({ first, weights }, band) => {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) {
          sum += weights[i] * Math.hypot(re[row + first + i], im[row + first + i]);
        }
        const gain = mel[frame * n_mels + band] - Math.log(Math.max(sum, floor));
        lacking[band] = Math.min(gain, MOST_LOG_GAIN);
      });
      this.between.forEach(({ band, share }, bin) => {
        const gain = Math.exp(lacking[band] * (1 - share) + lacking[band + 1] * share);
        re[row + bin] *= gain;
        im[row + bin] *= gain;
      });
    }
  }
}

/** A vocoder as its bundle says that it is to be heard. */
export function postFiltered<State>(vocoder: Vocoder<State>, config: BundleConfig): Vocoder {
  const passes = config.post_filter?.passes ?? 0;
  return (passes ? new PostFiltered(vocoder, passes) : vocoder) as Vocoder;
}

/** Between which bands' centres each bin lies, and how far: `spread_of` in Python. */
function placesBetween(mel: MelGeometry): { band: number; share: number }[] {
  const centres = bandCentresHz(mel);
  return Array.from({ length: mel.n_fft / 2 + 1 }, (_, bin) => {
    const hz = (bin * mel.sample_rate) / mel.n_fft;
    if (hz <= centres[0]) return { band: 0, share: 0 };
    const above = centres.findIndex((centre) => centre > hz);
    if (above < 0) return { band: centres.length - 1, share: 0 };
    const low = centres[above - 1];
    return { band: above - 1, share: (hz - low) / (centres[above] - low) };
  });
}

function rowOf(values: Float32Array, n: number, row: number): Float32Array {
  const size = values.length / n;
  return values.subarray(row * size, (row + 1) * size);
}

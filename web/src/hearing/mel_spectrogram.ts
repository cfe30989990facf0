// Audio → natural-log mel spectrogram, as src/timbrel/mel/spectrogram.py makes it.

import type { MelGeometry } from "../engine/bundle";
import { hannWindow } from "../engine/fft";
import { melBands, type Band } from "../engine/mel_bands";
import { Frames } from "./spectra";

export class MelSpectrogram {
  private readonly bands: Band[];
  private readonly frames: Frames;

  constructor(private readonly mel: MelGeometry) {
    this.bands = melBands(mel);
    this.frames = new Frames(hannWindow(mel.n_fft), mel.hop_length);
  }

  /** Frames of a clip: one for each whole hop. */
  countOf(audio: Float32Array): number {
    return Math.floor(audio.length / this.mel.hop_length);
  }

  /** The frames from `first` to before `last` of a whole clip, (frames, bands). */
  of(audio: Float32Array, first: number, last: number): Float32Array {
    const { n_mels, floor } = this.mel;
    const found = new Float32Array((last - first) * n_mels);
    this.frames.each(audio, first, last, (frame, powers) => {
      const row = (frame - first) * n_mels;
      this.bands.forEach(({ first: from, weights }, band) => {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += weights[i] * Math.sqrt(powers[from + i]);
        found[row + band] = Math.log(Math.max(sum, floor));
      });
    });
    return found;
  }
}

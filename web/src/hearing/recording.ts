// A recording, looked through and made mono, as src/timbrel/transcription/recording.py does it.

import constants from "../constants.json";

const { silentPeak, softPeak, wantedPeak, cancelled, wideHz } = constants.recording;

export interface Recording {
  /** In mono, (samples,). */
  audio: Float32Array;
  sampleRate: number;
  isSilent: boolean;
  /** What should be known of it, in words. */
  remarks: string[];
}

/** @param channels of equal length, one at least */
export function lookInto(channels: Float32Array[], sampleRate: number): Recording {
  const n = channels[0].length;
  const mono = new Float32Array(n);
  let [peak, both, single, bad] = [0, 0, 0, 0];
  for (const channel of channels) {
    for (let i = 0; i < n; i++) {
      if (!Number.isFinite(channel[i])) {
        channel[i] = 0;
        bad++;
      }
      peak = Math.max(peak, Math.abs(channel[i]));
      single += channel[i] ** 2 / channels.length;
      mono[i] += channel[i] / channels.length;
    }
  }
  for (const value of mono) both += value ** 2;
  const cancels = single > 0 && both < cancelled * single;
  if (cancels) for (let i = 0; i < n; i++) mono[i] = (channels[0][i] - channels[1][i]) / 2;
  const isSilent = peak < silentPeak && !cancels;
  // A soft recording is made as loud as those that the networks were trained on.
  if (!isSilent && peak < softPeak) {
    const gain = wantedPeak / Math.max(peak, silentPeak);
    for (let i = 0; i < n; i++) mono[i] *= gain;
  }
  const remarks: string[] = [];
  if (bad) remarks.push(`${bad} samples are no numbers; they are taken for silence`);
  if (cancels) {
    remarks.push("its channels cancel each other; their difference is heard instead");
  }
  if (sampleRate < wideHz) {
    const limit = sampleRate / 2000;
    remarks.push(`holds nothing above ${limit} kHz, which makes mistakes likelier`);
  }
  return { audio: mono, sampleRate, isSilent, remarks };
}

// Tracks → one stereo mix, their sum, as src/timbrel/mixer.py makes it, and what they send to the room.

import constants from "../constants.json";
import { pansOf } from "../score/placement";
import { valueAt, type Automation, type Track } from "../score/score";

const { smoothingBlockS } = constants;

type Stereo = [Float32Array, Float32Array];

export interface Mix {
  sound: Stereo;
  reverb: Stereo;
  chorus: Stereo;
}

/** An amplitude over time, in straight lines between points that do not depend on the blocks. */
class Fader {
  private point = -1;
  private from = 0;
  private to = 0;

  constructor(
    private readonly value: (time: number) => number,
    private readonly still: boolean,
    private readonly step: number,
    private readonly sampleRate: number,
  ) {
    if (still) this.from = value(0);
  }

  at(position: number): number {
    if (this.still) return this.from;
    const current = Math.floor(position / this.step);
    if (current !== this.point) {
      this.point = current;
      this.from = this.value((current * this.step) / this.sampleRate);
      this.to = this.value(((current + 1) * this.step) / this.sampleRate);
    }
    const share = position / this.step - current;
    return this.from + share * (this.to - this.from);
  }
}

export class Mixer {
  private readonly step: number;
  private readonly pans: Automation[];

  /** Dry, nothing is sent, and tracks without a pan are in the centre. */
  constructor(
    private readonly tracks: readonly Track[],
    private readonly sampleRate: number,
    private readonly dry = false,
  ) {
    this.step = Math.round(smoothingBlockS * sampleRate);
    this.pans = pansOf(tracks, dry);
  }

  /** Mix n samples of some tracks, (tracks, n), that begin at a sample of the score. */
  process(audio: Float32Array, tracks: readonly number[], n: number, position: number): Mix {
    const [sound, reverb, chorus] = [0, 1, 2].map((): Stereo => [
      new Float32Array(n),
      new Float32Array(n),
    ]);
    tracks.forEach((track, i) => {
      const own = audio.subarray(i * n, (i + 1) * n);
      const { gain, reverb: toReverb, chorus: toChorus } = this.tracks[track];
      const pan = this.pans[track];
      const angle = (time: number) => ((valueAt(pan, time) + 1) * Math.PI) / 4;
      const amplitude = (time: number) => Math.SQRT2 * valueAt(gain, time);
      const sides = [
        this.fader((time) => amplitude(time) * Math.cos(angle(time)), gain, pan),
        this.fader((time) => amplitude(time) * Math.sin(angle(time)), gain, pan),
      ];
      const sends = [
        { send: this.send(toReverb), to: reverb },
        { send: this.send(toChorus), to: chorus },
      ].filter(({ send }) => send !== null);
      sides.forEach((side, k) => {
        for (let j = 0; j < n; j++) {
          const placed = own[j] * side.at(position + j);
          sound[k][j] += placed;
          for (const { send, to } of sends) to[k][j] += placed * send!.at(position + j);
        }
      });
    });
    return { sound, reverb, chorus };
  }

  private send(curve: Automation): Fader | null {
    if (this.dry || curve.values.every((value) => value === 0)) return null;
    return this.fader((time) => valueAt(curve, time), curve);
  }

  private fader(value: (time: number) => number, ...curves: Automation[]): Fader {
    const still = curves.every(({ times }) => times.length === 1);
    return new Fader(value, still, this.step, this.sampleRate);
  }
}

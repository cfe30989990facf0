// The data path of a score, hop by hop: piano rolls and timbres → mel → vocoder → mix. Each step takes
// a state and gives the next one, and alters neither: who keeps a state can go back to it.

import constants from "../constants.json";
import { frameRateOf } from "./bundle";
import { Mixer, type MixerState } from "./mixer";
import type { Mel2Mel, MelState } from "./mel2mel";
import type { Vocoder } from "./vocoder";
import { PianoRoll } from "../score/roll";
import type { Track } from "../score/score";
import { timbreAt, type Timbre } from "../timbre/timbre";

// Before a position in the middle, so much of the score is played unheard, as Python does it. The
// vocoder, which forgets sooner, hears the last hops of it only.
const { preRollS, releaseS } = constants;
const PRE_ROLL_HOPS = 4;

export interface Snapshot {
  /** The next frame of mel. */
  readonly frame: number;
  readonly mel: MelState;
  readonly vocoder: unknown;
  readonly mixer: MixerState;
}

export interface Step {
  /** Sample of the score that `mix` begins with. */
  at: number;
  mix: [Float32Array, Float32Array];
  /** (tracks, hop, n_mels) */
  mel: Float32Array;
  frame: number;
  timbre: Float32Array;
  next: Snapshot;
}

/** What is played: one timbre for each track, and whether the track is heard. */
export interface Playing {
  timbres: Timbre[];
  heard: boolean[];
}

export class Stream {
  rolls: PianoRoll[];
  /** Frames of the piece, with what rings on; without end where a keyboard is played alone. */
  readonly nFrames: number;
  readonly frameRate: number;
  private readonly mixer: Mixer;
  private readonly hopSamples: number;

  constructor(
    private readonly mel2mel: Mel2Mel,
    private readonly vocoder: Vocoder,
    tracks: Track[],
    { endless = false }: { endless?: boolean } = {},
  ) {
    this.frameRate = frameRateOf(mel2mel.config.mel);
    this.rolls = tracks.map((track) => new PianoRoll(track.notes, this.frameRate));
    this.mixer = new Mixer(tracks, mel2mel.config.mel.sample_rate);
    this.hopSamples = mel2mel.config.mel.hop_length;
    let end = 0;
    for (const track of tracks) {
      for (const note of track.notes) if (note.end < Infinity) end = Math.max(end, note.end);
    }
    this.nFrames = endless
      ? Infinity
      : Math.max(roundHalfEven((end + releaseS) * this.frameRate), 1);
  }

  get hop(): number {
    return this.mel2mel.hop;
  }

  get nSamples(): number {
    return this.nFrames * this.hopSamples;
  }

  /** The frame where a hop begins. */
  aligned(frame: number): number {
    return Math.floor(Math.max(frame, 0) / this.hop) * this.hop;
  }

  /** From `frame` on, which must be aligned; steps give sound from there on. */
  async start(frame: number, playing: Playing): Promise<Snapshot> {
    const n = this.rolls.length;
    const first = this.aligned(frame - Math.round(preRollS * this.frameRate));
    const warm = Math.max(frame - PRE_ROLL_HOPS * this.hop, 0);
    const timbre = this.timbre(playing, warm);
    const mel = await this.mel2mel.skim(this.rolls, timbre, first, warm, this.mel2mel.start(n));
    let snapshot: Snapshot = {
      frame: warm,
      mel,
      vocoder: await this.vocoder.start(this.rolls, warm),
      mixer: this.mixer.start(),
    };
    while (snapshot.frame < frame) snapshot = (await this.step(snapshot, playing, frame)).next;
    return snapshot;
  }

  /** One hop. Sound before frame `from` is left out. */
  async step(before: Snapshot, playing: Playing, from: number): Promise<Step> {
    const { frame } = before;
    const n = this.rolls.length;
    const timbre = this.timbre(playing, frame);
    const { nMels } = this.mel2mel;
    let mel: Float32Array;
    let state = before.mel;
    if (frame < this.nFrames) {
      ({ mel, state } = await this.mel2mel.step(this.rolls, timbre, frame, before.mel));
    } else mel = new Float32Array(n * this.hop * nMels);
    // After the end there is silence.
    const rest = Math.max(Math.min(this.nFrames - frame, this.hop), 0);
    const silence = Math.log(this.vocoder.mel.floor);
    for (let i = 0; i < n; i++) {
      mel.fill(silence, (i * this.hop + rest) * nMels, (i + 1) * this.hop * nMels);
    }
    const spoken = await this.vocoder.step(this.rolls, mel, frame, before.vocoder);
    const nGiven = spoken.audio.length / n;
    const position = (frame - this.vocoder.latencyFrames) * this.hopSamples;
    const cut = Math.min(Math.max(from * this.hopSamples - position, 0), nGiven);
    const audio = cut ? withoutFirst(spoken.audio, n, cut) : spoken.audio;
    const { mix, state: mixer } = this.mixer.process(
      audio,
      position + cut,
      playing.heard,
      before.mixer,
    );
    return {
      at: position + cut - before.mixer.held[0].length,
      mix,
      mel,
      frame,
      timbre,
      next: { frame: frame + this.hop, mel: state, vocoder: spoken.state, mixer },
    };
  }

  private timbre({ timbres }: Playing, frame: number): Float32Array {
    const size = this.mel2mel.timbreSize;
    const out = new Float32Array(timbres.length * size);
    timbres.forEach((one, i) => out.set(timbreAt(one, frame / this.frameRate), i * size));
    return out;
  }
}

function withoutFirst(audio: Float32Array, n: number, cut: number): Float32Array {
  const length = audio.length / n;
  const out = new Float32Array(n * (length - cut));
  for (let i = 0; i < n; i++) {
    out.set(audio.subarray(i * length + cut, (i + 1) * length), i * (length - cut));
  }
  return out;
}

/** As Python rounds. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

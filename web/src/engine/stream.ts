// The data path of a score, hop by hop: piano rolls and timbres → mel → vocoder → mix → room → gain and limiter.
// Each step takes a state and gives the next one, and alters neither: who keeps a state can go back to it. Tracks that
// are not heard are not computed; one that comes in is brought to where it would be. Nor are those that rest: as in
// src/timbrel/ensemble.py a track falls asleep in silence, and wakes where a window reaches its next note.

import constants from "../constants.json";
import { frameRateOf } from "./bundle";
import type { Ensemble } from "./ensemble";
import { expectedLoudness } from "./expected_loudness";
import { Limiter, type LimiterState } from "./limiter";
import { Mixer } from "./mixer";
import { Room, type RoomState } from "./room";
import { roundHalfEven } from "./rounding";
import type { Mel2Mel, MelState } from "./mel2mel";
import { aligned, type Place, type Playing, type Source, type Step } from "./source";
import type { Vocoder } from "./vocoder";
import { rollOf } from "../score/performance_roll";
import { struckOnce, type PianoRoll } from "../score/roll";
import type { Note, Track } from "../score/score";
import { timbreAt, type Timbre } from "../timbre/timbre";

// Before a position in the middle, so much of the score is played unheard, as Python does it. The
// vocoder and the room, which forget sooner, hear the last frames of it only.
const { preRollS, restS, ringS, silenceDb } = constants;
const PRE_ROLL_FRAMES = 64;

/** Where some tracks' networks are. */
interface Voices {
  readonly mel: MelState;
  readonly vocoder: unknown;
}

export interface Snapshot extends Place {
  /** The tracks that are computed, in order. */
  readonly tracks: readonly number[];
  /** Those that are heard, but rest. */
  readonly asleep: readonly number[];
  readonly voices: Voices;
  readonly room: RoomState;
  readonly limiter: LimiterState | null;
}

export interface StreamOptions {
  /** Whether it has no end, as where a keyboard is played alone. */
  endless?: boolean;
  /** Whether it stays without a room; otherwise the end lets a room ring. */
  dry?: boolean;
  /** Ahead of the limiter; null for the mix as it is computed, without either. */
  gainDb: number | null;
}

/** Takes a hop of some tracks, (tracks, samples), that begins with a frame. */
type Hearing = (audio: Float32Array, tracks: readonly number[], frame: number) => void;

export class Stream implements Source<Snapshot> {
  readonly computes = true;
  /** Frames of the piece, with what rings on; without end where a keyboard is played alone. */
  readonly nFrames: number;
  readonly frameRate: number;
  private readonly rolls: PianoRoll[];
  private readonly mixers: { dry: Mixer; wet: Mixer };
  private readonly room: Room;
  private readonly quiet: RoomState;
  private readonly limiter: Limiter | null;

  constructor(
    private readonly mel2mel: Mel2Mel,
    private readonly vocoder: Vocoder,
    private readonly score: readonly Track[],
    { endless = false, dry = false, gainDb }: StreamOptions,
  ) {
    this.frameRate = frameRateOf(mel2mel.config.mel);
    this.rolls = score.map((track) => this.rollOf(track, track.notes));
    this.mixers = {
      dry: new Mixer(score, this.sampleRate, true),
      wet: new Mixer(score, this.sampleRate),
    };
    this.room = new Room(this.sampleRate);
    this.quiet = this.room.start();
    this.limiter = gainDb === null ? null : new Limiter(this.sampleRate, gainDb);
    const seconds = soundingSeconds(score) + (dry ? 0 : constants.room.decayS);
    this.nFrames = endless ? Infinity : Math.max(roundHalfEven(seconds * this.frameRate), 1);
  }

  get sampleRate(): number {
    return this.mel2mel.config.mel.sample_rate;
  }

  get hopLength(): number {
    return this.mel2mel.config.mel.hop_length;
  }

  get hop(): number {
    return this.mel2mel.hop;
  }

  get nSamples(): number {
    return this.nFrames * this.hopLength;
  }

  /** From now on a track has these notes. */
  setNotes(track: number, notes: readonly Note[]): void {
    this.rolls[track] = this.rollOf(this.score[track], notes);
  }

  async start(frame: number, playing: Playing): Promise<Snapshot> {
    const limiter = this.limiter?.start() ?? null;
    const voices = this.nobody(frame);
    let room = this.quiet;
    const nobody = { frame, tracks: [], asleep: [], voices, room, limiter };
    const place = await this.joined(nobody, playing, (audio, tracks, at) => {
      room = this.mixed(audio, tracks, at, playing.dry, room).room;
    });
    return { ...place, room };
  }

  regrouped(before: Snapshot, playing: Playing): Promise<Snapshot> {
    return this.joined(before, playing, () => {});
  }

  /** A place with the tracks that are heard now; those that come in are played unheard before it. */
  private async joined(before: Snapshot, playing: Playing, hear: Hearing): Promise<Snapshot> {
    const { frame } = before;
    const heard = heardTracks(playing);
    const coming = heard.filter((one) => !before.tracks.includes(one));
    const rests = (track: number) =>
      before.asleep.includes(track) || (this.maySleep && this.silentSince(track, frame));
    const wakes = (track: number) => (this.wakesAfter(track, frame) ?? Infinity) <= frame;
    const waking = coming.filter((track) => rests(track) && wakes(track));
    const asleep = coming.filter((track) => rests(track) && !wakes(track));
    const others = coming.filter((track) => !rests(track));
    const tracks = heard.filter((track) => !asleep.includes(track));
    if (String(tracks) === String(before.tracks)) return { ...before, asleep };
    const groups = [
      { tracks: before.tracks, voices: before.voices },
      { tracks: others, voices: await this.warmedUp(others, frame, playing, hear) },
      ...(await this.woken(waking, frame, playing)),
    ].filter((group) => group.tracks.length);
    if (groups.length === 1 && String(tracks) === String(groups[0].tracks)) {
      return { ...before, tracks, asleep, voices: groups[0].voices };
    }
    const known = groups.flatMap((group) => group.tracks);
    const rows = tracks.map((track) => known.indexOf(track));
    const voices = rows.length
      ? {
          mel: this.mel2mel.regrouped(
            groups.map((group) => group.voices.mel),
            rows,
          ),
          vocoder: this.vocoder.regrouped!(
            groups.map((group) => group.voices.vocoder),
            rows,
          ),
        }
      : this.nobody(frame);
    return { ...before, tracks, asleep, voices };
  }

  async step(before: Snapshot, playing: Playing, from: number): Promise<Step<Snapshot>> {
    const { frame, tracks, asleep, voices, room, limiter } = await this.regrouped(before, playing);
    const { mel, audio, next } = await this.sung(tracks, playing, frame, voices);
    const mixed = this.mixed(audio, tracks, frame, playing.dry, room);
    const cut = Math.max(from * this.hopLength - mixed.at, 0);
    const raw = mixed.mix.map((side) => side.slice(cut)) as Step["mix"];
    const at = mixed.at + Math.min(cut, mixed.mix[0].length);
    const made =
      this.limiter && limiter ? this.limiter.process(raw, limiter) : { mix: raw, state: null };
    return {
      at: at - (limiter?.held[0].length ?? 0),
      mix: made.mix,
      mel: this.loudest(mel),
      frame,
      nTracks: tracks.length + asleep.length,
      nAsleep: asleep.length,
      points: playing.timbres.map((timbre) => timbreAt(timbre, frame / this.frameRate)),
      next: this.resting(
        {
          frame: frame + this.hop,
          tracks,
          asleep,
          voices: next,
          room: mixed.room,
          limiter: made.state,
        },
        mel,
      ),
    };
  }

  /** The mix of a hop, in its room, from the score's first sample on; and where it begins. */
  private mixed(
    audio: Float32Array,
    tracks: readonly number[],
    frame: number,
    dry: boolean,
    room: RoomState,
  ): { at: number; mix: Step["mix"]; room: RoomState } {
    const n = this.hop * this.hopLength;
    const position = (frame - this.vocoder.latencyFrames) * this.hopLength;
    const early = Math.min(Math.max(-position, 0), n);
    const at = position + early;
    const kept = early && tracks.length ? withoutFirst(audio, tracks.length, early) : audio;
    const mixer = dry ? this.mixers.dry : this.mixers.wet;
    const { sound, reverb, chorus } = mixer.process(kept, tracks, n - early, at);
    if (dry) return { at, mix: sound, room: this.quiet };
    const { wet, state } = this.room.process(reverb, chorus, at, room);
    sound.forEach((side, k) => side.forEach((value, i) => (side[i] = value + wet[k][i])));
    return { at, mix: sound, room: state };
  }

  /** A place after a hop with some mel, (tracks, hop, n_mels), of whose tracks some fall asleep. */
  private resting(place: Snapshot, mel: Float32Array): Snapshot {
    if (!this.maySleep) return place;
    const { frame: end, tracks, voices } = place;
    const size = this.hop * this.mel2mel.nMels;
    const silence = (silenceDb / 20) * Math.LN10;
    const fall = tracks.map((track, i) => {
      const rest = end - (this.rolls[track].lastStop(end) ?? 0);
      const wakes = this.wakesAfter(track, end);
      if (rest < this.frames(restS) || (wakes !== null && wakes - end < this.frames(restS))) {
        return false;
      }
      const own = mel.subarray(i * size, (i + 1) * size);
      return rest >= this.frames(ringS) || own.every((value) => value < silence);
    });
    if (!fall.includes(true)) return place;
    const rows = tracks.flatMap((_, i) => (fall[i] ? [] : [i]));
    return {
      ...place,
      tracks: rows.map((row) => tracks[row]),
      asleep: [...place.asleep, ...tracks.filter((_, i) => fall[i])],
      voices: rows.length
        ? {
            mel: this.mel2mel.regrouped([voices.mel], rows),
            vocoder: this.vocoder.regrouped!([voices.vocoder], rows),
          }
        : this.nobody(end),
    };
  }

  /**
   * Vocoders whose tracks stay as they are compute all of them; and what is played by hand alone stays
   * awake, so that the first key does not wait for the networks to begin.
   */
  private get maySleep(): boolean {
    return this.vocoder.regrouped !== undefined && this.nFrames !== Infinity;
  }

  private frames(seconds: number): number {
    return roundHalfEven(seconds * this.frameRate);
  }

  /** Whether a track has been silent for so long in a frame that nothing of it can ring. */
  private silentSince(track: number, frame: number): boolean {
    const stop = this.rolls[track].lastStop(frame);
    return stop === null || frame - stop >= this.frames(ringS);
  }

  /** The hop in which a window first reaches a note from a frame on; null where there is none. */
  private wakesAfter(track: number, frame: number): number | null {
    const onset = this.rolls[track].firstSounding(frame);
    if (onset === null) return null;
    const hop = aligned(onset - this.mel2mel.reach, this.hop);
    return hop < this.nFrames ? hop : null;
  }

  /** Tracks that wake in a frame: the networks begin anew, after silence. */
  private async woken(
    tracks: readonly number[],
    frame: number,
    playing: Playing,
  ): Promise<{ tracks: readonly number[]; voices: Voices }[]> {
    const found = [];
    const heard = Math.min(Math.ceil(this.frames(preRollS) / this.hop) * this.hop, frame);
    for (const track of tracks) {
      const timbres: Float32Array[] = [];
      for (let at = frame - heard; at < frame; at += this.mel2mel.timbreFrames) {
        timbres.push(this.timbre([track], playing, [at]));
      }
      const mel = await this.mel2mel.afterSilence(timbres, frame);
      const vocoder = await this.vocoder.start(this.ensemble([track]), frame);
      found.push({ tracks: [track], voices: { mel, vocoder } });
    }
    return found;
  }

  /** Let go of what a place holds that no garbage collector sees. */
  end({ tracks, voices }: Snapshot): void {
    if (tracks.length) this.vocoder.end?.(voices.vocoder);
  }

  /** Tracks as they are before a frame, after what comes before it. */
  private async warmedUp(
    tracks: number[],
    frame: number,
    playing: Playing,
    hear: Hearing,
  ): Promise<Voices> {
    if (!tracks.length) return this.nobody(frame);
    const ensemble = this.ensemble(tracks);
    const first = aligned(frame - Math.round(preRollS * this.frameRate), this.hop);
    const warm = aligned(frame - PRE_ROLL_FRAMES, this.hop);
    const timbre = this.timbre(tracks, playing, [warm]);
    const start = this.mel2mel.start(tracks.length, first);
    let voices: Voices = {
      mel: await this.mel2mel.skim(ensemble.rolls, timbre, first, warm, start),
      vocoder: await this.vocoder.start(ensemble, warm),
    };
    for (let at = warm; at < frame; at += this.hop) {
      const { audio, next } = await this.sung(tracks, playing, at, voices);
      hear(audio, tracks, at);
      voices = next;
    }
    return voices;
  }

  private rollOf(track: Track, notes: readonly Note[]): PianoRoll {
    const struck = struckOnce(notes, this.frameRate);
    return rollOf(this.mel2mel.roll, track, struck, this.frameRate);
  }

  private nobody(frame: number): Voices {
    return { mel: this.mel2mel.start(0, frame), vocoder: null };
  }

  /** A hop of some tracks: mel (tracks, hop, n_mels) and audio (tracks, samples). */
  private async sung(
    tracks: readonly number[],
    playing: Playing,
    frame: number,
    voices: Voices,
  ): Promise<{ mel: Float32Array; audio: Float32Array; next: Voices }> {
    const n = tracks.length;
    if (!n) return { mel: new Float32Array(0), audio: new Float32Array(0), next: voices };
    const ensemble = this.ensemble(tracks);
    const { nMels } = this.mel2mel;
    let mel: Float32Array = new Float32Array(n * this.hop * nMels);
    let state = voices.mel;
    if (frame < this.nFrames) {
      const { timbreFrames } = this.mel2mel;
      const steps = Array.from({ length: this.hop / timbreFrames }, (_, i) => i * timbreFrames);
      const at = steps.map((step) => frame + step);
      const timbre = this.timbre(tracks, playing, at);
      ({ mel, state } = await this.mel2mel.step(ensemble.rolls, timbre, frame, voices.mel));
    }
    // After the end there is silence.
    const rest = Math.max(Math.min(this.nFrames - frame, this.hop), 0);
    for (let i = 0; i < n; i++) {
      mel.fill(this.silence, (i * this.hop + rest) * nMels, (i + 1) * this.hop * nMels);
    }
    const spoken = await this.vocoder.step(ensemble, mel, frame, voices.vocoder);
    return { mel, audio: spoken.audio, next: { mel: state, vocoder: spoken.state } };
  }

  private ensemble(tracks: readonly number[]): Ensemble {
    return { tracks, rolls: tracks.map((track) => this.rolls[track]) };
  }

  private get silence(): number {
    return Math.log(this.vocoder.mel.floor);
  }

  /** The loudest of the tracks in each band, (hop, n_mels), for the eye. */
  private loudest(mel: Float32Array): Float32Array {
    const size = this.hop * this.mel2mel.nMels;
    const out = new Float32Array(size).fill(this.silence);
    for (let i = 0; i < mel.length; i++) if (mel[i] > out[i % size]) out[i % size] = mel[i];
    return out;
  }

  /** Of some tracks in some frames, (tracks, frames, pointSize). */
  private timbre(
    tracks: readonly number[],
    { timbres }: Playing,
    frames: readonly number[],
  ): Float32Array {
    const size = this.mel2mel.pointSize;
    const out = new Float32Array(tracks.length * frames.length * size);
    tracks.forEach((track, i) =>
      frames.forEach((frame, k) =>
        out.set(timbreAt(timbres[track], frame / this.frameRate), (i * frames.length + k) * size),
      ),
    );
    return out;
  }
}

/**
 * The gain that is expected to bring tracks to the usual loudness, all of them together, so that one
 * that is muted does not make others louder.
 */
export function expectedGain(mel2mel: Mel2Mel, tracks: Track[], timbres: Timbre[]): number {
  const { gain, instruments } = mel2mel.config;
  const model = { gain: gain!, instruments: instruments! };
  const expected = expectedLoudness(tracks, timbres, model, soundingSeconds(tracks));
  return expected === -Infinity ? 0 : constants.loudness.targetLufs - expected;
}

/** Until when tracks sound, with what rings on. */
function soundingSeconds(tracks: readonly Track[]): number {
  let end = 0;
  for (const { notes } of tracks) {
    for (const note of notes) if (note.end < Infinity) end = Math.max(end, note.end);
  }
  return end + constants.releaseS;
}

function heardTracks({ heard }: Playing): number[] {
  return heard.flatMap((one, track) => (one ? [track] : []));
}

function withoutFirst(audio: Float32Array, n: number, cut: number): Float32Array {
  const length = audio.length / n;
  const out = new Float32Array(n * (length - cut));
  for (let i = 0; i < n; i++) {
    out.set(audio.subarray(i * length + cut, (i + 1) * length), i * (length - cut));
  }
  return out;
}

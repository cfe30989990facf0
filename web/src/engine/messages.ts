// What the page and the engine's worker say to each other.

import type { Manifest } from "./bundle";
import type { Quality } from "./quality";
import type { Track } from "../score/score";
import type { Timbre } from "../timbre/timbre";

/**
 * `order`: counts what the page wants to be played and from where, so that an end that the engine came to
 * before it heard of the latest wish is known as such.
 */
export type ToEngine =
  /** `coming`: paths of files that the page hands over. */
  | {
      kind: "start";
      base: string;
      shared: SharedArrayBuffer | null;
      manifest: Manifest;
      coming: string[];
    }
  | { kind: "runtime"; module: WebAssembly.Module }
  | { kind: "file"; path: string; bytes: ArrayBuffer }
  /** To a worklet that shares no memory. */
  | { kind: "worklet"; port: MessagePort }
  /** `aside`: loaded while something else is played, which must not suffer. */
  | { kind: "voice"; model: string; vocoder: string; aside: boolean }
  | {
      kind: "score";
      order: number;
      /** Of the piece, to know it again; null for what is played in between. */
      piece: number | null;
      tracks: Track[];
      timbres: Timbre[];
      heard: boolean[];
      dry: boolean;
      seconds: number;
      live: Timbre | null;
      /** Whether what is played goes on until this can take its place. */
      seamless: boolean;
    }
  | { kind: "seek"; order: number; seconds: number }
  | { kind: "change"; timbres: Timbre[]; heard: boolean[]; dry: boolean; live: Timbre | null }
  | { kind: "key"; pitch: number; velocity: number }
  | { kind: "play"; order: number; playing: boolean }
  | { kind: "loop"; loop: boolean }
  | { kind: "preview"; point: number[]; isKit: boolean }
  | { kind: "recording"; track: number; from: number; to: number }
  | {
      kind: "export";
      tracks: Track[];
      timbres: Timbre[];
      heard: boolean[];
      dry: boolean;
      vocoder: string;
    }
  | { kind: "cancel export" }
  /** Compute as much of the piece as it takes to play it without a gap, and the rest meanwhile. */
  | { kind: "render" }
  | { kind: "cancel render" };

export type Tell = (message: ToEngine, transfer?: Transferable[]) => void;

export type FromEngine =
  | {
      kind: "ready";
      model: string;
      vocoder: string;
      sampleRate: number;
      threads: number;
    }
  /** The first sound of what was asked for is there: playing begins at once. */
  | { kind: "cued" }
  /** `during`: what was asked for. */
  | { kind: "failed"; message: string; fatal: boolean; during?: ToEngine["kind"] }
  | {
      kind: "position";
      seconds: number;
      playing: boolean;
      ahead: number;
      underruns: number;
      realTimeFactor: number;
      /** Seconds from a key that is struck to its sound. */
      keyLatency: number;
      /** Tracks that are being computed. */
      nTracks: number;
      /** Whether the piece takes longer to compute than to play. */
      overloaded: boolean;
      /** Whether what is played was computed beforehand. */
      rendered: boolean;
      /** The gain of the mix, ahead of the limiter. */
      gainDb: number;
      /** The listener's place in the ring, in samples. */
      read: number;
    }
  | { kind: "mel"; frame: number; nMels: number; mel: Float32Array }
  | { kind: "changed"; asked: number; heard: number }
  /** All was played of what was wished with `order`. */
  | { kind: "ended"; order: number }
  | { kind: "quality"; quality: Quality }
  | { kind: "preview"; nMels: number; mel: Float32Array }
  | { kind: "recording"; track: number; timbre: Timbre | null }
  | { kind: "export"; progress: number; secondsLeft: number; wav: Blob | null }
  /** Computing cannot keep up with the sound: there is nothing more to hear. */
  | { kind: "starved" }
  /** Of the piece that is computed before it is played: until it may be, and whether it may. */
  | { kind: "render"; progress: number; secondsLeft: number; playable: boolean };

// What the page and the engine's worker say to each other.

import type { Manifest } from "./bundle";
import type { Quality } from "./quality";
import type { Track } from "../score/score";
import type { Timbre } from "../timbre/timbre";

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
  | { kind: "voice"; model: string; vocoder: string }
  | {
      kind: "score";
      tracks: Track[];
      timbres: Timbre[];
      heard: boolean[];
      seconds: number;
      live: Timbre | null;
    }
  | { kind: "change"; timbres: Timbre[]; heard: boolean[] }
  | { kind: "key"; pitch: number; velocity: number }
  | { kind: "play"; playing: boolean }
  | { kind: "loop"; loop: boolean }
  | { kind: "preview"; point: number[] }
  | { kind: "recording"; track: number; from: number; to: number }
  | { kind: "export"; tracks: Track[]; timbres: Timbre[]; heard: boolean[]; vocoder: string }
  | { kind: "cancel export" };

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
      /** The listener's place in the ring, in samples. */
      read: number;
    }
  | { kind: "mel"; frame: number; nMels: number; mel: Float32Array }
  | { kind: "changed"; asked: number; heard: number }
  | { kind: "ended" }
  | { kind: "quality"; quality: Quality }
  | { kind: "preview"; nMels: number; mel: Float32Array }
  | { kind: "recording"; track: number; timbre: Timbre | null }
  | { kind: "export"; progress: number; secondsLeft: number; wav: Blob | null };

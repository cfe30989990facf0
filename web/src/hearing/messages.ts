// What the page and the worker that hears say to each other.

import type { BundleEntry } from "../engine/bundle";
import type { Transcription } from "../transcription/transcriber";
import type { FoundTimbre } from "./found";

export type Wish = "timbre" | "notes";

export type ToEar =
  | { kind: "runtime"; module: WebAssembly.Module; base: string }
  /** What is wished of a sound, by a model; `points`: of the instruments, for a timbre. */
  | {
      kind: "hear";
      number: number;
      wish: Wish;
      channels: Float32Array[];
      sampleRate: number;
      entry: BundleEntry;
      points: number[][];
    }
  /** What was wished is of no use any more. */
  | { kind: "forget"; number: number };

/** `number`: of what it answers. */
export type FromEar = { number: number } & (
  | { kind: "progress"; progress: number }
  /** Null where the sound is silent. */
  | { kind: "timbre"; found: FoundTimbre | null; remarks: string[] }
  | { kind: "notes"; transcription: Transcription | null; remarks: string[] }
  | { kind: "failed"; message: string }
);

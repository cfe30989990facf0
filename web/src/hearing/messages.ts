// What the page and the worker that hears say to each other.

import type { BundleEntry } from "../engine/bundle";
import type { BegunNote, HeardNote } from "../transcription/decoding";
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
  /** Hear the notes of the blocks of mono sound that come by the port, as they come. */
  | { kind: "listen"; number: number; sampleRate: number; entry: BundleEntry; port: MessagePort }
  /** Nothing more comes by the port: the answer are the notes of all. */
  | { kind: "finish"; number: number }
  /** What was wished is of no use any more. */
  | { kind: "forget"; number: number };

/** Of what is heard as it comes. */
export type LiveNews =
  /** Blocks can come. */
  | { kind: "listening" }
  | { kind: "begun"; note: BegunNote }
  | { kind: "over"; note: BegunNote; heard: HeardNote }
  /** So many seconds were heard; the last of them took so long to compute. */
  | { kind: "pace"; heardS: number; computeMs: number }
  /** Nothing more is heard, for that reason; the notes until then can be asked for. */
  | { kind: "stuck"; message: string };

/** `number`: of what it answers. */
export type FromEar = { number: number } & (
  | { kind: "progress"; progress: number }
  /** Null where the sound is silent. */
  | { kind: "timbre"; found: FoundTimbre | null; remarks: string[] }
  | { kind: "notes"; transcription: Transcription | null; remarks: string[] }
  | { kind: "failed"; message: string }
  | LiveNews
);

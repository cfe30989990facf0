export type Precision = "float32" | "int16" | "int8";

export declare const PRECISIONS: Precision[];

/** A WaveNet's sizes, as `engine_config` in Python makes them. */
export interface WaveNetConfig {
  dilations: number[];
  kernel_size: number;
  input_taps: number;
  n_mels: number;
  hop_length: number;
  n_around: number;
  [size: string]: unknown;
}

export declare function hasRelaxedSimd(): boolean;

export declare function loadWaveNet(bytes: BufferSource): Promise<WaveNetModule>;

export interface WaveNetModule {
  engine(
    config: WaveNetConfig,
    weights: Record<string, Float32Array>,
    precision: Precision,
  ): WaveNetEngine;
}

export interface WaveNetEngine {
  session(nStreams: number, options?: { seed?: number; temperature?: number }): WaveNetSession;
  close(): void;
}

export interface WaveNetSession {
  readonly nStreams: number;
  readonly ready: number;
  feed(mel: Float32Array): void;
  sample(n: number): Float32Array;
  force(samples: Float32Array): Float32Array;
  close(): void;
}

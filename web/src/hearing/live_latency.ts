// How late a note is that is played by microphone: of what its delay consists.

import { blockSizeOf } from "../audio/blocks";
import { frameRateOf, type TranscriberConfig } from "../transcription/sizes";
import { noteLatencyOf } from "../transcription/stream";
import { Resampling } from "./resampling";

const BLOCK_FRAMES = 4; // of the transcriber: each call of the network costs about as much as two

/** In whole milliseconds, which add up. */
export interface LiveLatency {
  /** Until a sound is in the page: the device, and the block that it is part of. */
  microphoneMs: number;
  /** What the transcriber must hear beyond a note's beginning, and computing that. */
  recognisingMs: number;
  /** Until a key that is struck is heard; 0 where notes are not played. */
  playingMs: number;
  totalMs: number;
}

/** What is known of the computer. */
export interface Delays {
  /** Of the microphone, as far as the browser tells. */
  inputS: number;
  /** Of a block's computation. */
  computeMs: number;
  playingMs: number;
}

/** Samples of the blocks in which a microphone is heard. */
export function liveBlockSize({ model }: TranscriberConfig, sampleRate: number): number {
  return blockSizeOf(BLOCK_FRAMES / frameRateOf(model), sampleRate);
}

export function liveLatency(
  config: TranscriberConfig,
  sampleRate: number,
  { inputS, computeMs, playingMs }: Delays,
): LiveLatency {
  const blockS = liveBlockSize(config, sampleRate) / sampleRate;
  const resamplingS = new Resampling(sampleRate, config.model.sample_rate).latencyS;
  const parts = {
    microphoneMs: Math.round(1000 * (inputS + blockS)),
    recognisingMs: Math.round(1000 * (noteLatencyOf(config) + resamplingS) + computeMs),
    playingMs: Math.round(playingMs),
  };
  const totalMs = Object.values(parts).reduce((a, b) => a + b);
  return { ...parts, totalMs };
}

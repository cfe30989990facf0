// Blocks of sound that come from a worklet.

export const QUANTUM = 128; // samples of a call of a worklet

/** What the worklet that listens is started with. */
export interface ListenerOptions {
  /** Samples; a multiple of a quantum. */
  blockSize: number;
}

/** Samples of a block that lasts about so many seconds, of which worklets can make whole ones. */
export function blockSizeOf(seconds: number, sampleRate: number): number {
  return Math.max(Math.round((seconds * sampleRate) / QUANTUM), 1) * QUANTUM;
}

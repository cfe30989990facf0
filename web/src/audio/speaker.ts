// The page's side of the sound: the audio context and the worklet's node.

import processorUrl from "./processor.ts?worker&url";
import { newRing } from "./ring";
import type { ProcessorOptions } from "./processor";

const LONGEST_RECORDING_S = 600;
const VOLUME_GLIDE_S = 0.02; // so that the volume moves without clicks

/** Shared memory between worker and worklet; null where the page is not isolated. */
export function sharedRing(): SharedArrayBuffer | null {
  return self.crossOriginIsolated ? (newRing(true) as SharedArrayBuffer) : null;
}

export class Speaker {
  private node: AudioWorkletNode | null = null;
  private readonly volume: GainNode;

  private constructor(private readonly context: AudioContext) {
    this.volume = context.createGain();
    this.volume.connect(context.destination);
  }

  /** Prepare all that needs no gesture of the user. */
  static async prepare(
    shared: SharedArrayBuffer | null,
  ): Promise<{ speaker: Speaker; port: MessagePort | null }> {
    const context = new AudioContext({ latencyHint: "interactive" });
    await context.audioWorklet.addModule(processorUrl);
    const speaker = new Speaker(context);
    const processorOptions: ProcessorOptions = { shared };
    const node = new AudioWorkletNode(context, "timbrel", {
      numberOfInputs: 0,
      outputChannelCount: [2],
      processorOptions,
    });
    node.connect(speaker.volume);
    speaker.node = node;
    if (shared) return { speaker, port: null };
    const { port1, port2 } = new MessageChannel();
    node.port.postMessage({ worker: port1 }, [port1]);
    return { speaker, port: port2 };
  }

  get sampleRate(): number {
    return this.context.sampleRate;
  }

  get suspended(): boolean {
    return this.context.state !== "running";
  }

  /** Milliseconds from the worklet to the air, as far as the browser knows. */
  get outputLatencyMs(): number {
    return 1000 * ((this.context.outputLatency || 0) + (this.context.baseLatency || 0));
  }

  /** A factor from 0 to 1; what is recorded does not know of it. */
  setVolume(factor: number): void {
    this.volume.gain.setTargetAtTime(factor, this.context.currentTime, VOLUME_GLIDE_S);
  }

  /** Must be called in a gesture. */
  async resume(): Promise<void> {
    if (this.suspended) await this.context.resume();
  }

  startRecording(): void {
    this.node!.port.postMessage({ record: LONGEST_RECORDING_S });
  }

  /** What was played since, at the ring's rate. */
  stopRecording(): Promise<{ left: Float32Array; right: Float32Array }> {
    return new Promise((resolve) => {
      this.node!.port.onmessage = ({ data }) => resolve(data);
      this.node!.port.postMessage({ stop: true });
    });
  }
}

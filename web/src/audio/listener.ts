// The AudioWorklet that hands on what the microphone hears, in mono, in blocks of equal length.

import { QUANTUM, type ListenerOptions } from "./blocks";

declare function registerProcessor(name: string, processor: unknown): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

class TimbrelListener extends AudioWorkletProcessor {
  private readonly block: Float32Array;
  private filled = 0;
  private toEar: MessagePort | null = null;

  constructor({ processorOptions }: { processorOptions: ListenerOptions }) {
    super();
    this.block = new Float32Array(processorOptions.blockSize);
    this.port.onmessage = ({ data }: MessageEvent<MessagePort>) => (this.toEar = data);
  }

  process([channels]: Float32Array[][]): boolean {
    const { block } = this;
    for (let i = 0; i < QUANTUM; i++) {
      let value = 0;
      for (const channel of channels) value += channel[i] / channels.length;
      block[this.filled++] = Number.isFinite(value) ? value : 0;
    }
    if (this.filled >= block.length) {
      this.toEar?.postMessage(block);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor("timbrel-listener", TimbrelListener);

// Sound as a WAV file: 16 bit, as `timbrel render` writes it.

import { Parts } from "./parts";

type Sides = [Float32Array, Float32Array];

/** A WAV file that grows block by block. */
export class WavWriter {
  private readonly parts = new Parts();
  private nBytes = 0;

  constructor(private readonly sampleRate: number) {}

  add(sides: Sides): void {
    const n = sides[0].length;
    const view = new DataView(new ArrayBuffer(4 * n));
    for (let i = 0, at = 0; i < n; i++) {
      for (const side of sides) {
        const value = Math.max(-1, Math.min(1, side[i]));
        view.setInt16(at, Math.min(Math.round(value * 32768), 32767), true);
        at += 2;
      }
    }
    this.parts.add(view.buffer);
    this.nBytes += 4 * n;
  }

  finish(): Blob {
    return new Blob([this.header(), ...this.parts.finish()], { type: "audio/wav" });
  }

  private header(): ArrayBuffer {
    const view = new DataView(new ArrayBuffer(44));
    const text = (at: number, value: string) =>
      [...value].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
    text(0, "RIFF");
    view.setUint32(4, 36 + this.nBytes, true);
    text(8, "WAVEfmt ");
    view.setUint32(16, 16, true);
    view.setUint16(20, 1, true);
    view.setUint16(22, 2, true);
    view.setUint32(24, this.sampleRate, true);
    view.setUint32(28, 4 * this.sampleRate, true);
    view.setUint16(32, 4, true);
    view.setUint16(34, 16, true);
    text(36, "data");
    view.setUint32(40, this.nBytes, true);
    return view.buffer;
  }
}

export function wavFile(sides: Sides, sampleRate: number): Blob {
  const writer = new WavWriter(sampleRate);
  writer.add(sides);
  return writer.finish();
}

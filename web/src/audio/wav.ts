// Sound as a WAV file: 16 bit, as `timbrel render` writes it.

export function wavFile(blocks: [Float32Array, Float32Array][], sampleRate: number): ArrayBuffer {
  const n = blocks.reduce((sum, [left]) => sum + left.length, 0);
  const buffer = new ArrayBuffer(44 + 4 * n);
  const view = new DataView(buffer);
  const text = (at: number, value: string) =>
    [...value].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 4 * n, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 4 * sampleRate, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 4 * n, true);
  let at = 44;
  for (const sides of blocks) {
    for (let i = 0; i < sides[0].length; i++) {
      for (const side of sides) {
        const value = Math.max(-1, Math.min(1, side[i]));
        view.setInt16(at, Math.min(Math.round(value * 32768), 32767), true);
        at += 2;
      }
    }
  }
  return buffer;
}

/** Blocks of sound, one after the other. */
export function joined(blocks: Float32Array[]): Float32Array {
  const filled = blocks.filter(({ length }) => length > 0);
  if (filled.length === 1) return filled[0];
  const whole = new Float32Array(filled.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const block of filled) {
    whole.set(block, at);
    at += block.length;
  }
  return whole;
}

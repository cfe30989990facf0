// Weights in single precision by their names, of a file in the format safetensors.

export function tensors(file: Uint8Array): Record<string, Float32Array> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header: Record<string, { data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(file.subarray(8, start)),
  );
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(([name, { data_offsets }]) => {
        const [from, to] = data_offsets.map((offset) => start + offset);
        return [name, new Float32Array(file.slice(from, to).buffer)];
      }),
  );
}

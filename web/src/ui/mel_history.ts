// The mel that was computed lately, by frame, for the eye; a frame computed again replaces itself.

const FRAMES = 4096;

export class MelHistory {
  nMels = 80;
  /** Counts what was added. */
  version = 0;
  private values = new Float32Array(0);
  private frames = new Int32Array(FRAMES).fill(-1);

  add(frame: number, nMels: number, mel: Float32Array): void {
    this.version++;
    if (this.values.length !== FRAMES * nMels) {
      this.values = new Float32Array(FRAMES * nMels);
      this.nMels = nMels;
    }
    for (let k = 0; k < mel.length / nMels; k++) {
      const at = (frame + k) % FRAMES;
      this.frames[at] = frame + k;
      this.values.set(mel.subarray(k * nMels, (k + 1) * nMels), at * nMels);
    }
  }

  /** A frame's mel, or null where it is not known. */
  at(frame: number): Float32Array | null {
    if (frame < 0) return null;
    const at = frame % FRAMES;
    if (this.frames[at] !== frame) return null;
    return this.values.subarray(at * this.nMels, (at + 1) * this.nMels);
  }

  clear(): void {
    this.version++;
    this.frames.fill(-1);
  }
}

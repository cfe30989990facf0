// A picture of the mel that was computed lately, column by column; a frame computed again replaces
// itself.

import { MEL_SCALE, paint } from "./colours";

const COLUMNS = 4096;

export class MelHistory {
  /** Counts what was added. */
  version = 0;
  private nMels = 80;
  private picture = new OffscreenCanvas(COLUMNS, this.nMels);
  private readonly frames = new Int32Array(COLUMNS).fill(-1);

  add(frame: number, nMels: number, mel: Float32Array): void {
    this.version++;
    if (nMels !== this.nMels) {
      this.nMels = nMels;
      this.picture = new OffscreenCanvas(COLUMNS, nMels);
    }
    const context = this.picture.getContext("2d")!;
    const n = mel.length / nMels;
    const image = context.createImageData(n, nMels);
    for (let k = 0; k < n; k++) {
      this.frames[(frame + k) % COLUMNS] = frame + k;
      for (let band = 0; band < nMels; band++) {
        const value = brightness(mel[k * nMels + band]);
        paint(image.data, 4 * ((nMels - 1 - band) * n + k), value, MEL_SCALE);
      }
    }
    const at = frame % COLUMNS;
    context.putImageData(image, at, 0);
    // The picture is a ring.
    if (at + n > COLUMNS) context.putImageData(image, at - COLUMNS, 0);
  }

  /** Draw the frames from `first` on, `n` of them over the whole width; what is not known stays. */
  draw(context: CanvasRenderingContext2D, first: number, n: number): void {
    const { width, height } = context.canvas;
    const known = (frame: number) => frame >= 0 && this.frames[frame % COLUMNS] === frame;
    for (let frame = Math.max(first, 0); frame < first + n;) {
      if (!known(frame)) {
        frame++;
        continue;
      }
      const column = frame % COLUMNS;
      let stop = frame + 1;
      while (stop < first + n && stop % COLUMNS !== 0 && known(stop)) stop++;
      const x = ((frame - first) / n) * width;
      const long = ((stop - frame) / n) * width;
      context.drawImage(this.picture, column, 0, stop - frame, this.nMels, x, 0, long, height);
      frame = stop;
    }
  }

  clear(): void {
    this.version++;
    this.frames.fill(-1);
  }
}

/** A natural logarithm of magnitude as a share of what the eye can tell apart. */
export function brightness(logMagnitude: number): number {
  return (logMagnitude + 7) / 10;
}

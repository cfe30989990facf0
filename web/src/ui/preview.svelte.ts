// The mel of a phrase in a timbre, for the eye. One is computed at a time; of those that are asked for
// meanwhile the last one counts.

import type { Tell } from "../engine/messages";
import type { Point } from "../timbre/timbre";

/** A timbre, and whether it is one of drums. */
interface Wanted {
  point: Point;
  isKit: boolean;
}

export interface Picture {
  mel: Float32Array;
  nMels: number;
}

export class Preview {
  picture = $state.raw<Picture | null>(null);
  private computing = false;
  private wanted: Wanted | null = null;

  /** @param allowed whether the computer has time for it */
  constructor(
    private readonly tell: Tell,
    private readonly allowed: () => boolean,
  ) {}

  show(point: Point, isKit = false): void {
    if (!this.allowed()) return;
    if (this.computing) {
      this.wanted = { point, isKit };
      return;
    }
    this.computing = true;
    this.tell({ kind: "preview", point: [...point], isKit });
  }

  computed(picture: Picture): void {
    this.picture = picture;
    this.computing = false;
    const { wanted } = this;
    this.wanted = null;
    if (wanted) this.show(wanted.point, wanted.isKit);
  }
}

// What a model reads and can play, as its configuration says.

import constants from "../constants.json";
import type { Abilities } from "../score/abilities";
import type { BundleConfig, Instrument } from "./bundle";

/** The kind of piano rolls that a Mel2Mel reads. */
export function rollKind({ model }: BundleConfig): string {
  return String(model.roll ?? constants.piano);
}

/** The kind of rolls that a vocoder wants; null where it looks at none. */
export function wantedRoll({ model }: BundleConfig): string | null {
  return (constants.wantedRolls as Record<string, string>)[String(model.conditioning)] ?? null;
}

/** Numbers that are added for a Mel2Mel's layers and its single notes, as mel/film.py has them. */
export function filmSizes({ model }: BundleConfig): readonly [number, number, number] {
  const hidden = model.hidden_size as number;
  return [2 * hidden, 4 * hidden, 2 * constants.noteFilms * Number(model.note_units ?? 0)];
}

/** Whether a Mel2Mel has a network of single notes. */
export function knowsNotes(model: BundleConfig["model"]): boolean {
  return Boolean(model.note_units);
}

export function isKit({ keys }: Pick<Instrument, "keys">): boolean {
  return !!keys?.length;
}

/** What a Mel2Mel can play. */
export function abilitiesOf(config: BundleConfig): Abilities {
  const kits = (config.instruments ?? []).filter(isKit);
  return {
    bends: rollKind(config) === constants.performance,
    kits: new Map(kits.map(({ program, keys }) => [program, new Set(keys)])),
  };
}

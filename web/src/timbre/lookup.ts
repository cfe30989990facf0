// Which of a model's instruments a name means, as src/timbrel/timbre/lookup.py finds it: the model's
// own names, or those of General MIDI.

import constants from "../constants.json";
import type { Instrument } from "../engine/bundle";
import { isKit } from "../engine/kinds";
import { nearestKit } from "../score/abilities";
import { alike } from "./likeness";

const { programNames } = constants;
const sameWords = new Map(Object.entries(constants.sameWords));
const programsByWords = new Map([
  ...Object.entries(constants.everydayNames).map(
    ([name, program]) => [key(name), program] as const,
  ),
  ...programNames.map((name, program) => [key(name), program] as const),
]);

/** The instrument that a name means. */
export interface Found {
  instrument: Instrument;
  /** General MIDI's name of what was meant, where the model lacks it. */
  standsFor: string;
}

/**
 * Find an instrument by the model's name, or by General MIDI's name or number; where the model lacks
 * the program that is meant, its instrument that sounds nearest stands for it.
 */
export function findInstrument(name: string, instruments: Instrument[]): Found {
  const whole = split(name.toLowerCase()).join(" ");
  const own = instruments.find((one) => one.name.toLowerCase() === whole);
  if (own) return { instrument: own, standsFor: "" };
  let program = programNamed(name);
  if (program === null) {
    const byProgram = [...instruments].sort((a, b) => a.program - b.program);
    const part = firstWithWords(
      name,
      byProgram.map((one) => one.name),
    );
    if (part !== null) {
      return { instrument: instruments.find((one) => one.name === part)!, standsFor: "" };
    }
    const known = firstWithWords(name, programNames);
    if (known === null) {
      const meant = nearestNames(whole, instruments);
      const hint = meant.length ? `; did you mean ${meant.join(" or ")}?` : "";
      throw new Error(`there is no instrument '${whole}'${hint}`);
    }
    program = programNames.indexOf(known);
  }
  const drums = instruments.every(isKit);
  if (drums && !/^[0-9]+$/.test(whole)) {
    throw new Error(`'${whole}' is no drum kit, and drums need one`);
  }
  const instrument = standIn(program, instruments);
  if (instrument.program === program && isKit(instrument) === drums) {
    return { instrument, standsFor: "" };
  }
  return { instrument, standsFor: drums ? `drum kit ${program}` : programNames[program] };
}

/**
 * The first of some instruments for a General MIDI program, or that sounds nearest; drum kits count
 * only where there is nothing else.
 */
export function standIn(program: number, instruments: Instrument[]): Instrument {
  const melodic = instruments.filter((one) => !isKit(one));
  if (melodic.length) return nearestProgram(program, melodic);
  return kitFor(program, instruments);
}

/** The kit that stands for a kit's program. */
export function kitFor(program: number, kits: Instrument[]): Instrument {
  const chosen = nearestKit(
    program,
    kits.map((one) => one.program),
  );
  return kits.find((one) => one.program === chosen)!;
}

/** The instrument whose sound is nearest to a MIDI program's, as score/instruments.py chooses. */
function nearestProgram(program: number, instruments: Instrument[]): Instrument {
  const distances = constants.programDistances[program].split(",").map(Number);
  return instruments.reduce((nearest, other) => {
    const farther = distances[other.program] - distances[nearest.program];
    return (farther || other.program - nearest.program) < 0 ? other : nearest;
  });
}

/** Names that a user may have meant by one that is misspelt, best first. */
export function nearestNames(name: string, instruments: Instrument[]): string[] {
  const lower = name.toLowerCase();
  const own = instruments.map((one) => one.name.toLowerCase());
  const known = [...new Set([...own, ...programNames.map((other) => other.toLowerCase())])];
  const close = alike(lower, known, constants.alike).slice(0, constants.mostMeant);
  if (!close.length) close.push(...alike(lower, own, constants.ownAlike).slice(0, 1));
  const words = new Set(split(lower));
  const sharing = own.filter((other) => split(other).some((word) => words.has(word)));
  return [...new Set([...close, ...sharing])].slice(0, constants.mostMeant);
}

/** The words of a name, however it is typed: without case, brackets and other signs. */
export function wordsOf(name: string): string[] {
  const words = name.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.map((word) => sameWords.get(word) ?? word);
}

/** The first of some names that has all the words of another one. */
export function firstWithWords(name: string, candidates: readonly string[]): string | null {
  const wanted = new Set(wordsOf(name));
  if ([...wanted].every((word) => /^\p{Nd}+$/u.test(word))) return null;
  const hasAll = (other: string) => {
    const words = new Set(wordsOf(other));
    return [...wanted].every((word) => words.has(word));
  };
  return candidates.find(hasAll) ?? null;
}

/** The General MIDI program of a number, 0–127, or of a whole name. */
function programNamed(name: string): number | null {
  const number = name.trim();
  if (/^[0-9]+$/.test(number)) {
    const program = BigInt(number);
    if (program >= programNames.length) {
      const most = programNames.length - 1;
      throw new Error(`there is no General MIDI program ${program}; they are 0 to ${most}`);
    }
    return Number(program);
  }
  return programsByWords.get(key(name)) ?? null;
}

/** A name's words as one text. */
function key(name: string): string {
  return wordsOf(name).join(" ");
}

function split(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}

// What was heard, in words.

import constants from "../constants.json";
import type { Transcription } from "../transcription/transcriber";
import type { FoundTimbre } from "./found";

const { nothing, named, least, sureWords, far } = constants.hearing;

export interface Likely {
  name: string;
  probability: number;
}

/** The nearest instruments, best first, as `timbrel timbres --from` names them. */
export function nearest({ probabilities, ...found }: FoundTimbre, names: string[]): Likely[] {
  const all = probabilities
    .map((probability, i) => ({ name: names[i], probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, named)
    .filter(({ probability }, place) => place === 0 || probability >= least);
  if (found.nothing >= least) all.push({ name: "no instrument", probability: found.nothing });
  return all.sort((a, b) => b.probability - a.probability);
}

/** Whether a sound is likelier to be no instrument than one. */
export function isNothing(found: FoundTimbre): boolean {
  return found.nothing > nothing;
}

/** Whether no instrument of the model lies near. */
export function isFar({ distance, neighbours }: FoundTimbre): boolean {
  return distance / neighbours > far;
}

export function surenessOf({ sureness }: FoundTimbre): string {
  const { words } = sureWords.find((one) => sureness >= one.least)!;
  return `${percent(sureness)} sure (${words})`;
}

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** How many notes were heard, and how they are tuned. */
export function notesInWords({ notes, tuningCents }: Transcription): string {
  const bent = notes.filter(({ bendCents }) => bendCents.length).length;
  const cents = Math.round(tuningCents);
  const count = notes.length === 1 ? "1 note" : `${notes.length} notes`;
  const bends = bent ? `, ${bent} of them bent` : "";
  return `${count}${bends}, tuned ${cents < 0 ? "−" : "+"}${Math.abs(cents)} cents from A = 440 Hz`;
}

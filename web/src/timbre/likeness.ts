// How alike two texts are, by Ratcliff and Obershelp's measure as Python's difflib has it: twice the
// letters in matching blocks, divided by all letters. Blocks are found from the longest on.

import constants from "../constants.json";

/** The texts that are at least so alike to a name, the most alike first. */
export function alike(name: string, others: readonly string[], cutoff: number): string[] {
  return others
    .map((other) => ({ other, ratio: nameLikeness(name, other) }))
    .filter(({ ratio }) => ratio >= cutoff)
    .sort((a, b) => b.ratio - a.ratio)
    .map(({ other }) => other);
}

/** How alike two names are, or a single word and any word of the other. */
function nameLikeness(name: string, other: string): number {
  const whole = likeness([...other], [...name]);
  if (wordsIn(name).length > 1) return whole;
  const words = wordsIn(other).map((word) => likeness([...word], [...name]));
  return Math.max(whole, constants.wordShare * Math.max(0, ...words));
}

function wordsIn(name: string): string[] {
  return name.split(/\s+/u).filter(Boolean);
}

function likeness(a: string[], b: string[]): number {
  return (2 * matching(a, b)) / (a.length + b.length || 1);
}

/** Letters in the longest block that both have, and in those before and after it. */
function matching(a: string[], b: string[]): number {
  let [length, atA, atB] = [0, 0, 0];
  let before = new Uint16Array(b.length + 1); // of blocks that end at the letter of `a` before
  for (let i = 0; i < a.length; i++) {
    const here = new Uint16Array(b.length + 1);
    for (let j = 0; j < b.length; j++) {
      if (a[i] !== b[j]) continue;
      here[j + 1] = before[j] + 1;
      if (here[j + 1] > length) {
        length = here[j + 1];
        [atA, atB] = [i + 1 - length, j + 1 - length];
      }
    }
    before = here;
  }
  if (!length) return 0;
  return (
    length +
    matching(a.slice(0, atA), b.slice(0, atB)) +
    matching(a.slice(atA + length), b.slice(atB + length))
  );
}

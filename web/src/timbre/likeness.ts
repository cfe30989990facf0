// How alike two texts are, by Ratcliff and Obershelp's measure as Python's difflib has it: twice the
// letters in matching blocks, divided by all letters. Blocks are found from the longest on.

/** At most so many texts that are at least so alike, the most alike first. */
export function closeMatches(
  word: string,
  possibilities: string[],
  most: number,
  cutoff: number,
): string[] {
  const wanted = [...word];
  return possibilities
    .map((other) => ({ other, ratio: likeness([...other], wanted) }))
    .filter(({ ratio }) => ratio >= cutoff)
    .sort((a, b) => b.ratio - a.ratio || (a.other < b.other ? 1 : -1))
    .slice(0, most)
    .map(({ other }) => other);
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

// What the browser can do, and what is asked of it beside sound: files, links, the clipboard, its
// memory.

/** What this browser lacks, in words; empty where it lacks nothing. */
export function missingFeature(): string {
  // A function that holds one SIMD instruction.
  const simd = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253,
    15, 253, 98, 11,
  ];
  if (!self.isSecureContext) {
    return "sound and checksums need HTTPS or localhost; open the page over one of these";
  }
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(simd))) {
    return "this browser does not support WebAssembly SIMD, which the engine needs; please update it";
  }
  if (!("AudioWorkletNode" in self)) {
    return "this browser does not support AudioWorklet, which the sound needs; please update it";
  }
  if (!("DecompressionStream" in self))
    return "this browser is too old for this page; please update it";
  return "";
}

export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Whether the browser let the text into its clipboard. */
export async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** What the link asks for that the page was opened with. */
export function linkParameters(): URLSearchParams {
  return new URLSearchParams(location.hash.slice(1));
}

/** The page's address with such parameters. */
export function linkTo(parameters: URLSearchParams): string {
  return `${location.href.split("#")[0]}#${parameters}`;
}

/** What was kept in this browser; null where nothing was, or where it keeps nothing. */
export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Some browsers keep nothing; then it is forgotten with the page.
  }
}

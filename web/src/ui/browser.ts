// What the browser can do, and what is asked of it beside sound: files, links, the clipboard.

/** What this browser lacks, in words; empty where it lacks nothing. */
export function missingFeature(): string {
  // A function that holds one SIMD instruction.
  const simd = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253,
    15, 253, 98, 11,
  ];
  if (!self.isSecureContext) {
    return "browsers give sound and checks to pages over HTTPS or on this machine only; open the page that way";
  }
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(simd))) {
    return "this browser does not know WebAssembly SIMD, which the engine is made of; a current one does";
  }
  if (!("AudioWorkletNode" in self)) {
    return "this browser does not know AudioWorklet, through which the sound goes; a current one does";
  }
  if (!("DecompressionStream" in self))
    return "this browser is too old for this page; a current one is needed";
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

// Model bundles over the wire: compressed files, each checked against its SHA-256.

import type { WaveNetConfig } from "../../../native/wasm/wavenet.mjs";

export interface MelGeometry {
  sample_rate: number;
  hop_length: number;
  n_fft: number;
  n_mels: number;
  f_min_hz: number;
  f_max_hz: number;
  floor: number;
}

/** Frames a second, of mels and of the piano rolls that they are made of. */
export function frameRateOf({ sample_rate, hop_length }: MelGeometry): number {
  return sample_rate / hop_length;
}

export interface Instrument {
  name: string;
  program: number;
  embedding: number[];
  /** Of a drum kit, whose program is its own; other instruments have none. */
  keys?: number[];
}

export interface BundleConfig {
  kind: string;
  name: string;
  mel: MelGeometry;
  model: Record<string, number | string>;
  window?: { hop: number; context: number };
  instruments?: Instrument[];
  /** Of what it was trained on. */
  gain?: number;
  /** Of an encoder: the Mel2Mel whose timbres it hears. */
  mel2mel?: string;
  /** Of a WaveNet. */
  engine?: WaveNetConfig;
  /** Of a vocoder whose sound is held to its mel. */
  post_filter?: { passes: number };
  attribution: string;
  license: string;
  /** What its makers say of its worth; mostly nothing. */
  status: string;
}

/** The map of a timbre space of two dimensions: a grid over it, and what sounds at its points. */
export interface PlaneData {
  x: number[];
  y: number[];
  centroid_hz: number[][];
  energy_db: number[][];
}

/** Of a space of more dimensions: the instruments' places in three, and how they sound. */
export interface InstrumentMapData {
  places: number[][];
  centroid_hz: number[];
  energy_db: number[];
}

export interface FileEntry {
  path: string;
  sha256: string;
}

export interface BundleEntry {
  config: BundleConfig;
  /** The vocoder that was made for a Mel2Mel. */
  vocoder: string | null;
  files: Record<string, FileEntry>;
  map: PlaneData | InstrumentMapData | null;
}

const ID_DIGITS = 16; // of a SHA-256

/** A short name for a bundle's weights, as bundles/bundle.py has it. */
export function weightsId(entry: BundleEntry | undefined): string {
  return entry?.files["weights.safetensors"]?.sha256.slice(0, ID_DIGITS) ?? "";
}

/** page.json, which Timbrel writes for the page: all there is to load. */
export interface Manifest {
  version: string;
  runtime: string;
  /** Builds of the WaveNet engine by their names; none where the page was built without it. */
  wavenet: Record<string, FileEntry>;
  models: BundleEntry[];
  default_model: string;
  default_vocoder: string;
  /** What plays until those are loaded. */
  first_model: string;
  first_vocoder: string;
  tunes: { name: string; path: string }[];
  samples: string | null;
}

/**
 * Ask for a file and use what comes, while it comes; a file whose name ends with .gz is decompressed,
 * unless the browser does so itself, because the host told it to.
 */
export async function received<T>(
  url: string,
  use: (response: Response) => Promise<T>,
  type = "application/octet-stream",
): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${nameOf(url)} cannot be loaded: there is no connection to the server`);
  }
  if (!response.ok || !response.body) {
    throw new Error(`${nameOf(url)} cannot be loaded (the server answered ${response.status})`);
  }
  try {
    const compressed = new URL(response.url).pathname.endsWith(".gz");
    if (!compressed || response.headers.get("content-encoding") === "gzip") {
      return await use(response);
    }
    const content = response.body.pipeThrough(new DecompressionStream("gzip"));
    return await use(new Response(content, { headers: { "content-type": type } }));
  } catch {
    throw new Error(`${nameOf(url)} arrived damaged; reload the page`);
  }
}

export function receivedBytes(url: string): Promise<ArrayBuffer> {
  return received(url, (response) => response.arrayBuffer());
}

/** A bundle's files by their names, and whether all of them are what they should be. */
export async function loadFiles(
  entry: BundleEntry,
  bytesOf: (path: string) => Promise<ArrayBuffer>,
): Promise<{ files: Record<string, Uint8Array>; checked: Promise<void> }> {
  const loaded = await Promise.all(
    Object.entries(entry.files).map(async ([name, { path, sha256 }]) => {
      const bytes = await bytesOf(path);
      const checked = check(`the model “${entry.config.name}”`, name, bytes, sha256);
      checked.catch(() => {}); // until all files are there
      return { name, bytes, checked };
    }),
  );
  return {
    files: Object.fromEntries(loaded.map(({ name, bytes }) => [name, new Uint8Array(bytes)])),
    checked: Promise.all(loaded.map(({ checked }) => checked)).then(() => {}),
  };
}

/** A file that belongs to no bundle, once it is what it should be. */
export async function checkedBytes(
  what: string,
  name: string,
  { path, sha256 }: FileEntry,
  bytesOf: (path: string) => Promise<ArrayBuffer>,
): Promise<ArrayBuffer> {
  const bytes = await bytesOf(path);
  await check(what, name, bytes, sha256);
  return bytes;
}

async function check(
  what: string,
  name: string,
  bytes: ArrayBuffer,
  sha256: string,
): Promise<void> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== sha256) {
    throw new Error(
      `${what} is damaged: the SHA-256 of ${name} is not the expected one; ` +
        "install or copy the page again",
    );
  }
}

function nameOf(url: string): string {
  return new URL(url, self.location.href).pathname.split("/").slice(-2).join("/");
}

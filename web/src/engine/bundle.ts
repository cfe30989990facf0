// Model bundles over the wire: compressed files, each checked against its SHA-256.

export interface MelGeometry {
  sample_rate: number;
  hop_length: number;
  n_fft: number;
  n_mels: number;
  f_min_hz: number;
  f_max_hz: number;
  floor: number;
}

export interface Instrument {
  name: string;
  program: number;
  embedding: number[];
}

export interface BundleConfig {
  kind: string;
  name: string;
  mel: MelGeometry;
  model: Record<string, number | string>;
  window?: { hop: number; context: number };
  instruments?: Instrument[];
  attribution: string;
  license: string;
}

/** What a timbre map holds: a grid over the plane, and what sounds at its points. */
export interface TimbreMapData {
  x: number[];
  y: number[];
  centroid_hz: number[][];
  energy_db: number[][];
}

export interface FileEntry {
  path: string;
  sha256: string;
}

export interface BundleEntry {
  config: BundleConfig;
  files: Record<string, FileEntry>;
  map: TimbreMapData | null;
}

/** page.json, which Timbrel writes for the page: all there is to load. */
export interface Manifest {
  version: string;
  runtime: string;
  models: BundleEntry[];
  default_model: string;
  default_vocoder: string;
  tunes: { name: string; path: string }[];
  samples: string | null;
}

/** A file's bytes; a path that ends with .gz is decompressed. */
export async function decompressed(url: string): Promise<ArrayBuffer> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${nameOf(url)} cannot be loaded: there is no connection to the server`);
  }
  if (!response.ok || !response.body) {
    throw new Error(`${nameOf(url)} cannot be loaded (the server says ${response.status})`);
  }
  try {
    if (!new URL(url, self.location.href).pathname.endsWith(".gz"))
      return await response.arrayBuffer();
    return await new Response(
      response.body.pipeThrough(new DecompressionStream("gzip")),
    ).arrayBuffer();
  } catch {
    throw new Error(`${nameOf(url)} arrived damaged; reload the page`);
  }
}

/** A bundle's files by their names. */
export async function loadFiles(
  entry: BundleEntry,
  base: string,
): Promise<Record<string, Uint8Array>> {
  const loaded = Object.entries(entry.files).map(async ([name, { path, sha256 }]) => {
    const bytes = await decompressed(new URL(path, base).href);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (found !== sha256) {
      throw new Error(
        `the model “${entry.config.name}” is damaged: the SHA-256 of ${name} is not the expected one; ` +
          "install or copy the page again",
      );
    }
    return [name, new Uint8Array(bytes)] as const;
  });
  return Object.fromEntries(await Promise.all(loaded));
}

function nameOf(url: string): string {
  return new URL(url, self.location.href).pathname.split("/").slice(-2).join("/");
}

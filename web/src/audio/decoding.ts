// Files of sound → samples, by what the browser decodes.

import { sampleRateOf } from "../hearing/file_rate";

const MOST_BYTES = 256 * 2 ** 20;
const MOST_SECONDS = 600;
const USUAL_RATE = 48_000; // where the file's own is not known
const METADATA_MS = 5000;
const BY_COMMAND =
  "the commands “timbrel transcribe” and “timbrel timbres” hear files of any length";

export interface Decoded {
  channels: Float32Array[];
  sampleRate: number;
  seconds: number;
}

// The sound of a video is heard, too, where the browser can take it out.
const SUFFIXES = /\.(wav|wave|flac|mp3|ogg|oga|opus|m4a|aac|aiff?|webm|mp4|m4v|mov|mkv)$/i;

/** What a file chooser is to offer. */
export const SOUND_TYPES = "audio/*,.wav,.flac,.mp3,.ogg,.oga,.opus,.m4a,.aac";

/** Whether a file is one of sound, by its name or by what the system says of it. */
export function isSound({ name, type }: File): boolean {
  return SUFFIXES.test(name) || (/^(audio|video)\//.test(type) && !/midi?$/.test(type));
}

/** Decode a sound; fails with words that go on after the file's name. */
export async function decoded(file: File): Promise<Decoded> {
  if (!file.size) throw new Error("is empty");
  if (file.size > MOST_BYTES) {
    throw new Error(`is larger than ${MOST_BYTES / 2 ** 20} MiB, the page’s limit; ${BY_COMMAND}`);
  }
  // An hour of sound would need gigabytes once it is decoded.
  const stated = await statedSeconds(file);
  expectShort(stated ?? 0);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const rate = sampleRateOf(bytes) ?? USUAL_RATE;
  let buffer: AudioBuffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.buffer);
  } catch {
    throw new Error("cannot be read as a sound; WAV, FLAC, MP3 and OGG files can");
  }
  expectShort(buffer.duration);
  if (!buffer.length) throw new Error("holds no sound that can be read");
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) =>
    buffer.getChannelData(i),
  );
  return { channels, sampleRate: rate, seconds: buffer.duration };
}

function expectShort(seconds: number): void {
  if (seconds <= MOST_SECONDS) return;
  throw new Error(
    `lasts ${Math.round(seconds / 60)} minutes; the page hears up to ${MOST_SECONDS / 60}. ` +
      `Cut out a part of it; ${BY_COMMAND}`,
  );
}

/** How long a file says that it is; null where the browser cannot tell without decoding it. */
function statedSeconds(file: File): Promise<number | null> {
  const url = URL.createObjectURL(file);
  const player = new Audio();
  return new Promise<number | null>((resolve) => {
    player.preload = "metadata";
    player.onloadedmetadata = () =>
      resolve(Number.isFinite(player.duration) ? player.duration : null);
    player.onerror = () => resolve(null);
    setTimeout(() => resolve(null), METADATA_MS);
    player.src = url;
  }).finally(() => {
    player.removeAttribute("src");
    URL.revokeObjectURL(url);
  });
}

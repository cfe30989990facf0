// The microphone: asked for when it is opened, and let go when it is closed.

/** What it writes, the first that the browser can. */
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
const BITS_PER_SECOND = 256_000;
const WANTED = {
  // These are made for calls, and change the sound of instruments.
  echoCancellation: false,
  noiseSuppression: false,
  autoGainControl: false,
};

export class Microphone {
  private readonly parts: Blob[] = [];
  private readonly samples: Float32Array<ArrayBuffer>;

  private constructor(
    private readonly stream: MediaStream,
    private readonly recorder: MediaRecorder,
    private readonly context: AudioContext,
    private readonly analyser: AnalyserNode,
  ) {
    this.samples = new Float32Array(analyser.fftSize);
    recorder.ondataavailable = ({ data }) => this.parts.push(data);
    recorder.start();
  }

  /** Ask for the microphone and record; fails with words. */
  static async open(): Promise<Microphone> {
    if (!navigator.mediaDevices?.getUserMedia || !("MediaRecorder" in self)) {
      throw new Error("This browser cannot record; record with another program and drop the file.");
    }
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED });
    } catch (error) {
      throw new Error(faultOf(error as DOMException));
    }
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    const recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BITS_PER_SECOND });
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    return new Microphone(stream, recorder, context, analyser);
  }

  /** The peak of what comes in now, 0 to 1. */
  level(): number {
    this.analyser.getFloatTimeDomainData(this.samples);
    return this.samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  }

  /** End the recording; gives it as a file. */
  async stop(): Promise<File> {
    const ended = new Promise((resolve) => (this.recorder.onstop = resolve));
    this.recorder.stop();
    await ended;
    this.close();
    const [type] = this.recorder.mimeType.split(";");
    return new File(this.parts, "recording", { type });
  }

  close(): void {
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
  }
}

function faultOf({ name, message }: DOMException): string {
  if (name === "NotAllowedError") {
    return (
      "The microphone was not allowed. Allow it for this page, by the sign beside the address, " +
      "and press the button again."
    );
  }
  if (name === "NotFoundError") return "No microphone was found.";
  return `The microphone cannot be opened (${message}).`;
}

// What can be taken away: WAV files, the timbre, a link, and the command that renders the same.

import { wavFile } from "../audio/wav";
import constants from "../constants.json";
import type { FromEngine, Tell } from "../engine/messages";
import { timbreFile, timbreSpec } from "../timbre/grammar";
import { simplified } from "../timbre/timbre";
import { download, linkTo } from "./browser";
import type { Models } from "./models.svelte";
import type { Path } from "./path.svelte";
import type { Piece } from "./piece.svelte";
import type { Transport } from "./transport.svelte";

const { renderOptions } = constants;

export class Export {
  /** Of the WAV that is being made; null where none is. */
  progress = $state<number | null>(null);
  secondsLeft = $state<number | null>(null);
  /** Whether what is played is being recorded. */
  capturing = $state(false);
  /** The vocoder of the WAV, where it is to be another than the one that is heard. */
  private other = $state<string | null>(null);

  vocoder = $derived.by(() => this.other ?? this.models.vocoder);
  command = $derived.by(() => this.renderCommand());

  constructor(
    private readonly models: Models,
    private readonly piece: Piece,
    private readonly path: Path,
    private readonly transport: Transport,
    private readonly tell: Tell,
  ) {}

  chooseVocoder(name: string): void {
    this.other = name;
  }

  begin(): void {
    this.progress = 0;
    this.secondsLeft = null;
    this.tell({
      kind: "export",
      tracks: this.piece.score.tracks,
      timbres: this.piece.voices.map(({ timbre }) => this.path.played(timbre)),
      heard: this.piece.heard,
      dry: this.transport.dry,
      vocoder: this.vocoder,
    });
  }

  cancel(): void {
    this.progress = null;
    this.tell({ kind: "cancel export" });
  }

  failed(): void {
    this.progress = null;
  }

  told({ progress, secondsLeft, wav }: Extract<FromEngine, { kind: "export" }>): void {
    if (this.progress === null) return;
    this.progress = wav ? null : progress;
    this.secondsLeft = secondsLeft;
    if (wav) download(`${this.stem()}.wav`, wav);
  }

  saveTimbre(): void {
    const content = timbreFile(this.path.played(this.path.timbre), this.models.written);
    download(`${this.stem()}.timbre`, new Blob([content], { type: "application/json" }));
  }

  /** Record what is played, to a WAV in the end. */
  async toggleCapture(): Promise<void> {
    this.capturing = !this.capturing;
    if (this.capturing) return this.transport.startCapture();
    const { left, right } = await this.transport.endCapture();
    download(`${this.stem()}-played.wav`, wavFile([left, right], this.transport.sampleRate));
  }

  /** The address of the page as it is now. */
  link(): string {
    const { manifest, model, vocoder } = this.models;
    const query = new URLSearchParams();
    const { source } = this.piece;
    if (source?.kind === "tune") query.set("tune", source.name);
    if (model !== manifest?.default_model) query.set("model", model);
    if (vocoder !== manifest?.default_vocoder) query.set("vocoder", vocoder);
    const specs = this.specs();
    if (this.isOne(specs)) query.set("timbre", specs[0]);
    else specs.forEach((spec, i) => query.set(`t${i + 1}`, spec));
    return linkTo(query);
  }

  /** Whether one timbre can be said for all tracks; that would not count for drums. */
  private isOne(specs: string[]): boolean {
    return new Set(specs).size === 1 && !this.piece.score.tracks.some(({ isKit }) => isKit);
  }

  private specs(): string[] {
    return this.piece.voices.map(({ timbre }) =>
      timbreSpec(simplified(this.path.played(timbre)), this.models.instruments),
    );
  }

  private renderCommand(): string {
    const { manifest, model, instruments } = this.models;
    const { source, voices } = this.piece;
    if (!manifest || !source || !voices.length || !instruments.length) return "";
    const name =
      source.kind === "file"
        ? source.name
        : manifest.tunes
            .find((tune) => tune.name === source.name)!
            .path.split("/")
            .pop()!;
    const specs = this.specs();
    const same = this.isOne(specs);
    const options = (same ? specs.slice(0, 1) : specs.map((spec, i) => `${i + 1}=${spec}`)).map(
      (spec) => `${renderOptions.timbre} ${quoted(spec)}`,
    );
    if (model !== constants.defaultModel) options.push(`${renderOptions.model} ${model}`);
    if (this.vocoder !== this.models.ownVocoder)
      options.push(`${renderOptions.vocoder} ${quoted(this.vocoder)}`);
    if (this.transport.dry) options.push(renderOptions.dry);
    return ["timbrel render", quoted(name), ...options].join(" ");
  }

  private stem(): string {
    return this.piece.title
      .replace(/\.midi?$/i, "")
      .toLowerCase()
      .replace(/\s+/g, "-");
  }
}

/** For a shell. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `"${text.replace(/(["\\$`])/g, "\\$1")}"`;
}

// The models that the page can play with, and those that are chosen.

import {
  frameRateOf,
  type BundleConfig,
  type BundleEntry,
  type Instrument,
  type Manifest,
} from "../engine/bundle";
import { TimbreMap } from "../timbre/map";

export const GRIFFIN_LIM = "griffin-lim";

export class Models {
  manifest = $state.raw<Manifest | null>(null);
  model = $state("");
  vocoder = $state("");
  /** Whether others are being loaded. */
  changing = $state(false);

  private entry = $derived<BundleEntry | undefined>(
    this.manifest?.models.find(({ config }) => config.name === this.model),
  );
  config = $derived<BundleConfig | null>(this.entry?.config ?? null);
  frameRate = $derived(this.config ? frameRateOf(this.config.mel) : 0);
  instruments = $derived<Instrument[]>(this.config?.instruments ?? []);
  /** Numbers that a point of the model's timbre space has. */
  dimensions = $derived(this.instruments[0]?.embedding.length ?? 0);
  map = $derived<TimbreMap | null>(
    this.entry?.map ? new TimbreMap(this.entry.map, this.instruments) : null,
  );
  names = $derived(this.ofKind("mel2mel"));
  vocoders = $derived([...this.ofKind("parallel"), GRIFFIN_LIM]);
  /** They make WAV files only. */
  waveNets = $derived(this.ofKind("wavenet"));

  /** All that there is to choose from; the defaults are chosen. */
  offer(manifest: Manifest): void {
    this.manifest = manifest;
    this.chosen(manifest.default_model, manifest.default_vocoder);
  }

  chosen(model: string, vocoder: string): void {
    this.model = model;
    this.vocoder = vocoder;
    this.changing = false;
  }

  /** A vocoder's name for the eye. */
  labelOf(vocoder: string): string {
    const status = this.manifest?.models.find(({ config }) => config.name === vocoder)?.config
      .status;
    return status ? `${vocoder} (${status})` : vocoder;
  }

  private ofKind(kind: string): string[] {
    return (this.manifest?.models ?? [])
      .filter(({ config }) => config.kind === kind)
      .map(({ config }) => config.name);
  }
}

// The models that the page can play with, and those that are chosen.

import {
  frameRateOf,
  type BundleConfig,
  type BundleEntry,
  type Instrument,
  type Manifest,
  weightsId,
} from "../engine/bundle";
import { abilitiesOf, filmSizes, isKit, rollKind, wantedRoll } from "../engine/kinds";
import type { Abilities } from "../score/abilities";
import type { Space } from "../timbre/grammar";
import type { Shown } from "../timbre/words";
import { Plane } from "../timbre/plane";
import { InstrumentMap } from "../timbre/space";

export const GRIFFIN_LIM = "griffin-lim";
const NO_ABILITIES: Abilities = { bends: false, kits: new Map() };

/** A model and a vocoder. */
export interface Choice {
  model: string;
  vocoder: string;
}

export class Models {
  manifest = $state.raw<Manifest | null>(null);
  model = $state("");
  vocoder = $state("");
  /** A model that is loaded while another one plays. */
  coming = $state("");
  /** Whether others are being loaded. */
  changing = $state(false);

  private entry = $derived<BundleEntry | undefined>(this.entryOf(this.model));
  /** The vocoder that was made for the model. */
  ownVocoder = $derived<string | null>(this.entry?.vocoder ?? null);
  config = $derived<BundleConfig | null>(this.entry?.config ?? null);
  frameRate = $derived(this.config ? frameRateOf(this.config.mel) : 0);
  instruments = $derived<Instrument[]>(this.config?.instruments ?? []);
  /** Those that are no drum kits. */
  melodic = $derived<Instrument[]>(this.instruments.filter((one) => !isKit(one)));
  abilities = $derived(this.config ? abilitiesOf(this.config) : NO_ABILITIES);
  /** Numbers that a point of the model's timbre space has. */
  dimensions = $derived(this.instruments[0]?.embedding.length ?? 0);
  /** What files of timbres are written and read with. */
  written = $derived<Space>(this.writtenOf(this.model));
  /** Of a timbre space of two dimensions. */
  plane = $derived.by<Plane | null>(() => {
    const data = this.entry?.map;
    return data && "x" in data ? new Plane(data) : null;
  });
  /** Of a space of more dimensions. */
  space = $derived.by<InstrumentMap | null>(() => {
    const data = this.entry?.map;
    return data && "places" in data ? new InstrumentMap(data, this.instruments) : null;
  });
  map = $derived<Shown | null>(this.plane ?? this.space);
  names = $derived(this.ofKind("mel2mel"));
  vocoders = $derived(this.vocodersFor(this.model));
  /** What hears timbres: those of the chosen model, or else of another one. */
  encoder = $derived.by<BundleEntry | null>(() => {
    const all = this.entriesOf("encoder");
    return all.find(({ config }) => config.mel2mel === this.model) ?? all[0] ?? null;
  });
  /** What hears notes. */
  transcriber = $derived<BundleEntry | null>(this.entriesOf("transcriber")[0] ?? null);
  /** They make WAV files only. */
  waveNets = $derived(this.ofKind("wavenet").filter((name) => this.fits(name, this.model)));

  /** All that there is to choose from; the defaults are chosen. */
  offer(manifest: Manifest): void {
    this.manifest = manifest;
    this.chosen(manifest.first_model, manifest.first_vocoder);
  }

  /** A model with the vocoder that is chosen, or with its own where that one does not fit. */
  with(model: string): Choice {
    const known = this.vocodersFor(model);
    const own = this.entryOf(model)?.vocoder ?? known[0];
    const wasOwn = this.vocoder === this.ownVocoder;
    return { model, vocoder: !wasOwn && known.includes(this.vocoder) ? this.vocoder : own };
  }

  chosen(model: string, vocoder: string): void {
    this.model = model;
    this.vocoder = vocoder;
    this.changing = false;
    this.coming = "";
  }

  instrumentsOf(model: string): Instrument[] {
    return this.entryOf(model)?.config.instruments ?? [];
  }

  /** What files of a model's timbres are written and read with. */
  writtenOf(model: string): Space {
    const entry = this.entryOf(model);
    const film = entry ? filmSizes(entry.config) : [];
    const instruments = this.instrumentsOf(model);
    return {
      instruments,
      filmSize: film.reduce((sum, size) => sum + size, 0),
      weights: weightsId(entry),
    };
  }

  /** A vocoder's name for the eye. */
  labelOf(vocoder: string): string {
    const status = this.entryOf(vocoder)?.config.status;
    return status ? `${vocoder} (${status})` : vocoder;
  }

  private vocodersFor(model: string): string[] {
    const known = this.ofKind("parallel").filter((name) => this.fits(name, model));
    const frame = this.entryOf(model)?.config.mel.n_fft ?? 0;
    // Its transform is one of frames whose length is a power of two.
    return frame & (frame - 1) ? known : [...known, GRIFFIN_LIM];
  }

  /** Whether a vocoder was made for mels and rolls as a model's. */
  private fits(vocoder: string, model: string): boolean {
    const [own, other] = [this.entryOf(vocoder)?.config, this.entryOf(model)?.config];
    if (!own || !other || JSON.stringify(own.mel) !== JSON.stringify(other.mel)) return false;
    const wanted = wantedRoll(own);
    return wanted === null || wanted === rollKind(other);
  }

  private entryOf(name: string): BundleEntry | undefined {
    return this.manifest?.models.find(({ config }) => config.name === name);
  }

  private ofKind(kind: string): string[] {
    return this.entriesOf(kind).map(({ config }) => config.name);
  }

  private entriesOf(kind: string): BundleEntry[] {
    return (this.manifest?.models ?? []).filter(({ config }) => config.kind === kind);
  }
}

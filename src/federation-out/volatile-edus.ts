import type { Log } from '../base/log.ts';
import type { Edu } from '../matrix/edu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { EduParcel, EduSource } from './edu-source.ts';
import { encodeEdu } from './transaction.ts';

/** The parcels of one attempt. `settle` is called once, whatever becomes of it. */
export interface VolatileLoad {
  readonly eduTexts: readonly string[];
  settle(fate: 'accepted' | 'refused'): void;
}

export const emptyLoad: VolatileLoad = { eduTexts: [], settle() {} };

/** The sources of volatile EDUs, asked in turn: who was first for one transaction is last for the next. */
export class VolatileEdus {
  readonly #sources: EduSource[] = [];
  readonly #log: Log;
  #first = 0;

  constructor(deps: { log: Log }) {
    this.#log = deps.log;
  }

  add(source: EduSource): void {
    this.#sources.push(source);
  }

  /** At most `max` EDUs for the destination, in canonical form. A source that throws has nothing this time. */
  async take(destination: ServerName, max: number): Promise<VolatileLoad> {
    const parcels: { source: string; parcel: EduParcel }[] = [];
    const eduTexts: string[] = [];
    const first = this.#first;
    this.#first += 1;
    for (let index = 0; index < this.#sources.length && eduTexts.length < max; index += 1) {
      const source = this.#sources[(first + index) % this.#sources.length];
      if (!source) continue;
      const parcel = await this.#takeFrom(source, destination, max - eduTexts.length);
      if (!parcel) continue;
      parcels.push({ source: source.name, parcel });
      eduTexts.push(...this.#encode(source.name, parcel.edus));
    }
    if (parcels.length === 0) return emptyLoad;
    return {
      eduTexts,
      settle: (fate) => {
        for (const { source, parcel } of parcels.splice(0)) this.#settle(source, parcel, fate);
      },
    };
  }

  async #takeFrom(source: EduSource, destination: ServerName, max: number): Promise<EduParcel | undefined> {
    try {
      if (!source.hasPending(destination)) return undefined;
      const parcel = await source.take(destination, max);
      if (parcel.edus.length > 0 && parcel.edus.length <= max) return parcel;
      parcel.refused();
      if (parcel.edus.length > max) this.#log.error({ source: source.name }, 'a source gave more EDUs than fit');
    } catch (err) {
      this.#log.error({ err, source: source.name, destination }, 'a source of EDUs failed');
    }
    return undefined;
  }

  #encode(source: string, edus: readonly Edu[]): string[] {
    const texts: string[] = [];
    for (const edu of edus) {
      const text = encodeEdu(edu);
      if (text === undefined) this.#log.error({ source, eduType: edu.edu_type }, 'an EDU without a canonical form');
      else texts.push(text);
    }
    return texts;
  }

  #settle(source: string, parcel: EduParcel, fate: 'accepted' | 'refused'): void {
    try {
      parcel[fate]();
    } catch (err) {
      this.#log.error({ err, source }, 'a source of EDUs failed to learn what became of them');
    }
  }
}

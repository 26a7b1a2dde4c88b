import type { UserId } from '../../../src/matrix/ids.ts';
import type { Client, World } from '../../support/presence-world.ts';
import { textOf } from './wire-server.ts';

/** Somebody who looks, in every way there is. */
export class Viewer {
  readonly userId: UserId;
  /** By subject, what their client shows that syncs all along. */
  readonly shown = new Map<UserId, string>();
  readonly #world: World;
  readonly #client: Client;
  #freshDevices = 0;

  constructor(world: World, userId: UserId) {
    this.#world = world;
    this.userId = userId;
    this.#client = world.device(userId);
  }

  /** One answer of a sync: what is new in it. */
  async look(): Promise<[UserId, string][]> {
    const news = (await this.#client.read()).map(({ sender, ...seen }): [UserId, string] => [sender, textOf(seen)]);
    for (const [subject, text] of news) this.shown.set(subject, text);
    return news;
  }

  /** What a device is shown that was never there before. */
  async lookAfresh(): Promise<ReadonlyMap<UserId, string>> {
    this.#freshDevices += 1;
    const seen = await this.#world.device(this.userId, `FRESH${this.#freshDevices}`).read();
    return new Map(seen.map(({ sender, ...shown }) => [sender, textOf(shown)]));
  }

  /** What GET answers; undefined: 404. */
  async ask(subject: UserId): Promise<string | undefined> {
    try {
      return textOf(await this.#world.get(this.userId, subject));
    } catch (error) {
      if (error instanceof Error && 'status' in error && error.status === 404) return undefined;
      throw error;
    }
  }
}

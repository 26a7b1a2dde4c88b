import type { LoadClient } from '../support/load-client.ts';
import { runConcurrently } from '../support/load-client.ts';
import { RawPoller } from '../support/raw-poll.ts';
import type { Member } from './crowd.ts';

/** A change is known by its number, which is the subject's status; subjects take turns, so that the number says who. */
const statusPattern = /"status_msg":"m(\d+)"/g;

interface Viewer {
  readonly poller: RawPoller;
  /** The newest change seen of each subject. */
  readonly newest: number[];
}

/** People who change their presence, and viewers who long-poll and see it. */
export class Audience {
  readonly #client: LoadClient;
  readonly #subjects: readonly Member[];
  readonly #viewers: Viewer[] = [];
  readonly #sentAt: number[] = [];
  readonly #newest: number[] = [];
  #polling: Promise<unknown> = Promise.resolve();
  #seen = 0;
  #delays: number[] = [];
  #answer = '';

  private constructor(client: LoadClient, subjects: readonly Member[]) {
    this.#client = client;
    this.#subjects = subjects;
  }

  /** Resolves when every viewer has had a first answer and polls. */
  static async start(
    where: { readonly client: LoadClient; readonly url: string },
    people: { readonly subjects: readonly Member[]; readonly viewers: readonly Member[] },
  ): Promise<Audience> {
    const audience = new Audience(where.client, people.subjects);
    const since = await firstTokens(where.client, people.viewers);
    for (const [n, { token }] of people.viewers.entries()) {
      const newest: number[] = [];
      const onAnswer = (text: string): void => audience.#onAnswer(newest, text);
      const poller = new RawPoller({ url: where.url, token, since: since[n] ?? '', query: '', onAnswer });
      audience.#viewers.push({ poller, newest });
    }
    audience.#polling = Promise.all(audience.#viewers.map(({ poller }) => poller.run()));
    return audience;
  }

  /** How many (viewer, update) were seen so far. */
  get seen(): number {
    return this.#seen;
  }

  get answers(): number {
    return this.#viewers.reduce((sum, { poller }) => sum + poller.answers, 0);
  }

  /** Some answer that told of a change. */
  get sampleAnswer(): string {
    return this.#answer;
  }

  /** From PUT to the viewer's answer, in milliseconds, for each seen since the last call. */
  takeDelays(): number[] {
    const delays = this.#delays;
    this.#delays = [];
    return delays;
  }

  /** Changes at a steady rate, all subjects together; resolves when the last PUT is answered. */
  async change(perSecond: number, seconds: number): Promise<number> {
    const pending: Promise<void>[] = [];
    const startedAt = performance.now();
    const count = Math.round(perSecond * seconds);
    for (let n = 0; n < count; n += 1) {
      const dueInMs = startedAt + (n * 1_000) / perSecond - performance.now();
      if (dueInMs > 1) await wait(dueInMs);
      pending.push(this.#changeOne());
    }
    await Promise.all(pending);
    return count;
  }

  /** Viewers who hold the newest change of everybody. */
  countUpToDate(): number {
    return this.#viewers.filter(({ newest }) => this.#newest.every((number, subject) => newest[subject] === number))
      .length;
  }

  /** Until every viewer has the newest of everybody, or for this long. */
  async settle(forMs: number): Promise<void> {
    const endsAt = performance.now() + forMs;
    while (performance.now() < endsAt && this.countUpToDate() < this.#viewers.length) await wait(20);
  }

  async stop(): Promise<void> {
    for (const { poller } of this.#viewers) poller.stop();
    await this.#polling;
  }

  async #changeOne(): Promise<void> {
    const number = this.#sentAt.length;
    const who = number % this.#subjects.length;
    const subject = this.#subjects[who];
    if (!subject) return;
    this.#sentAt.push(performance.now());
    this.#newest[who] = number;
    await this.#client.json({
      method: 'PUT',
      path: `/_matrix/client/v3/presence/${encodeURIComponent(subject.userId)}/status`,
      token: subject.token,
      body: { presence: 'online', status_msg: `m${number}` },
    });
  }

  #onAnswer(newest: number[], text: string): void {
    const now = performance.now();
    for (const [, digits = ''] of text.matchAll(statusPattern)) {
      const number = Number(digits);
      const who = number % this.#subjects.length;
      const sentAt = this.#sentAt[number];
      // What a viewer has seen already is told again where somebody comes anew.
      if (sentAt === undefined || number <= (newest[who] ?? -1)) continue;
      newest[who] = number;
      this.#seen += 1;
      this.#delays.push(now - sentAt);
      this.#answer = text;
    }
  }
}

/** The token of each one's first sync. */
export async function firstTokens(client: LoadClient, members: readonly Member[]): Promise<string[]> {
  const tokens: string[] = [];
  await runConcurrently(members.length, 16, async (n) => {
    const token = members[n]?.token ?? '';
    const first = await client.json({ method: 'GET', path: '/_matrix/client/v3/sync?timeout=0', token });
    tokens[n] = String(first.next_batch);
  });
  return tokens;
}

export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

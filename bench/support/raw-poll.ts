import { Agent, request } from 'node:http';

/** Long-polls as a client does, each answer's token in the next request, and hands every answer's text to `onAnswer`. */
export class RawPoller {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #url: URL;
  readonly #token: string;
  readonly #query: string;
  #since: string;
  #stopped = false;
  #answers = 0;
  readonly #onAnswer: (text: string) => void;

  constructor(options: {
    url: string;
    token: string;
    since: string;
    query: string;
    onAnswer: (text: string) => void;
  }) {
    this.#url = new URL(options.url);
    this.#token = options.token;
    this.#since = options.since;
    this.#query = options.query;
    this.#onAnswer = options.onAnswer;
  }

  /** How many answers came. */
  get answers(): number {
    return this.#answers;
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      const text = await this.#poll();
      if (text === undefined) return;
      this.#answers += 1;
      this.#since = /"next_batch":"([^"]+)"/.exec(text)?.[1] ?? this.#since;
      this.#onAnswer(text);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#agent.destroy();
  }

  /** Undefined once it was stopped. */
  #poll(): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const call = request(
        {
          agent: this.#agent,
          host: this.#url.hostname,
          port: this.#url.port,
          path: `/_matrix/client/v3/sync?timeout=30000&since=${encodeURIComponent(this.#since)}${this.#query}`,
          headers: { authorization: `Bearer ${this.#token}` },
        },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (part: string) => {
            text += part;
          });
          answer.on('end', () => {
            if (answer.statusCode === 200) resolve(text);
            else reject(new Error(`/sync answered ${answer.statusCode}: ${text}`));
          });
        },
      );
      call.on('error', (error) => (this.#stopped ? resolve(undefined) : reject(error)));
      call.end();
    });
  }
}

import { connect, type Socket } from 'node:net';

const headEnd = '\r\n\r\n';

/**
 * Long-polls as a client does, each answer's token in the next request, and hands every answer's text to `onAnswer`. It speaks HTTP by itself over one
 * kept connection: node:http costs more here than the server that is measured, and what it makes wait would count as the server's delay.
 */
export class RawPoller {
  readonly #url: URL;
  readonly #token: string;
  readonly #query: string;
  readonly #timeoutMs: number;
  readonly #onAnswer: (text: string) => void;
  #socket: Socket | undefined;
  #since: string;
  #stopped = false;
  #answers = 0;
  /** What came of an answer that is not complete; bodies of these benches are ASCII, so that bytes are characters. */
  #received = '';

  constructor(options: {
    url: string;
    token: string;
    since: string;
    query: string;
    /** How long the server is asked to wait; half a minute by default. */
    timeoutMs?: number;
    onAnswer: (text: string) => void;
  }) {
    this.#url = new URL(options.url);
    this.#token = options.token;
    this.#since = options.since;
    this.#query = options.query;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#onAnswer = options.onAnswer;
  }

  /** How many answers came. */
  get answers(): number {
    return this.#answers;
  }

  /** Resolves once it was stopped. Rejects when the server answers anything but a 200, or ends the connection. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: this.#url.hostname, port: Number(this.#url.port), noDelay: true });
      this.#socket = socket;
      socket.setEncoding('latin1');
      socket.on('connect', () => this.#ask(socket));
      socket.on('data', (part: string) => {
        const refusal = this.#take(socket, part);
        if (refusal === undefined) return;
        reject(new Error(`/sync answered ${refusal}`));
        socket.destroy();
      });
      socket.on('error', (error) => reject(error));
      socket.on('close', () => (this.#stopped ? resolve() : reject(new Error('the server ended a poll'))));
      if (this.#stopped) socket.destroy();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.destroy();
  }

  #ask(socket: Socket): void {
    const path = `/_matrix/client/v3/sync?timeout=${this.#timeoutMs}&since=${encodeURIComponent(this.#since)}${this.#query}`;
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${this.#url.host}\r\nAuthorization: Bearer ${this.#token}\r\nConnection: keep-alive${headEnd}`,
    );
  }

  /** An answer that is no 200. */
  #take(socket: Socket, part: string): string | undefined {
    this.#received += part;
    const bodyAt = this.#received.indexOf(headEnd) + headEnd.length;
    if (bodyAt < headEnd.length) return undefined;
    const head = this.#received.slice(0, bodyAt);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1]);
    if (!head.startsWith('HTTP/1.1 200') || !Number.isFinite(length)) return this.#received;
    if (this.#received.length < bodyAt + length) return undefined;
    const text = this.#received.slice(bodyAt, bodyAt + length);
    this.#received = '';
    this.#answers += 1;
    this.#since = /"next_batch":"([^"]+)"/.exec(text)?.[1] ?? this.#since;
    // As a client would: the next request goes out before anybody looks at the answer.
    if (!this.#stopped) this.#ask(socket);
    this.#onAnswer(text);
    return undefined;
  }
}

import { Pool } from 'undici';

export interface LoadAnswer {
  readonly status: number;
  readonly text: string;
  readonly elapsedMs: number;
}

export interface LoadRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** From `/_matrix` on, with the query. */
  readonly path: string;
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client that costs little beside the server it measures: kept connections, no parsing of answers. */
export class LoadClient {
  readonly #pool: Pool;

  constructor(url: string, connections = 64) {
    // Long polls answer late; what hangs is the bench's matter.
    this.#pool = new Pool(url, { connections, pipelining: 1, headersTimeout: 120_000, bodyTimeout: 120_000 });
  }

  async request({ method, path, token, body, headers }: LoadRequest): Promise<LoadAnswer> {
    const startedAt = performance.now();
    const answer = await this.#pool.request({
      method,
      path,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, text, elapsedMs: performance.now() - startedAt };
  }

  /** The same, for an answer that must be good: its parsed body. */
  async json(request: LoadRequest): Promise<Record<string, unknown>> {
    const { status, text } = await this.request(request);
    if (status !== 200) throw new Error(`${request.method} ${request.path} answered ${status}: ${text.slice(0, 500)}`);
    return JSON.parse(text);
  }

  /** Registers a user with a token to use. A password costs the server tens of milliseconds by design. */
  async register(username: string): Promise<{ userId: string; token: string }> {
    const body = { username, password: 'correct horse battery', auth: { type: 'm.login.dummy' } };
    const answer = await this.json({ method: 'POST', path: '/_matrix/client/v3/register', body });
    return { userId: String(answer.user_id), token: String(answer.access_token) };
  }

  async stop(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** Runs `task` for 0 to `count` - 1, at most `inFlight` at once. */
export async function runConcurrently(
  count: number,
  inFlight: number,
  task: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await task(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, worker));
}

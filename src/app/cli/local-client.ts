/** A person on one of our own servers, for `lantern pair`: the client API over plain HTTP on loopback. */
export class LocalUser {
  readonly url: string;
  readonly userId: string;
  readonly accessToken: string;

  constructor(url: string, userId: string, accessToken: string) {
    this.url = url;
    this.userId = userId;
    this.accessToken = accessToken;
  }

  get(path: string, signal?: AbortSignal): Promise<Record<string, unknown>> {
    return call({ url: this.url, method: 'GET', path, token: this.accessToken, signal });
  }

  put(path: string, body: unknown): Promise<Record<string, unknown>> {
    return call({ url: this.url, method: 'PUT', path, body, token: this.accessToken });
  }

  post(path: string, body: unknown): Promise<Record<string, unknown>> {
    return call({ url: this.url, method: 'POST', path, body, token: this.accessToken });
  }

  /** Joins a room, through the named server where ours does not know it. */
  async join(roomId: string, via: string): Promise<void> {
    await this.post(
      `/join/${encodeURIComponent(roomId)}?via=${encodeURIComponent(via)}&server_name=${encodeURIComponent(via)}`,
      {},
    );
  }
}

export class LocalClient {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async register(username: string, password: string): Promise<LocalUser> {
    const auth = { type: 'm.login.dummy' };
    return this.#userOf(
      await call({ url: this.url, method: 'POST', path: '/register', body: { username, password, auth } }),
    );
  }

  async login(user: string, password: string): Promise<LocalUser> {
    const body = { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password };
    return this.#userOf(await call({ url: this.url, method: 'POST', path: '/login', body }));
  }

  #userOf(answer: Record<string, unknown>): LocalUser {
    return new LocalUser(this.url, String(answer.user_id), String(answer.access_token));
  }
}

interface Call {
  url: string;
  method: string;
  path: string;
  body?: unknown;
  token?: string;
  signal?: AbortSignal | undefined;
}

async function call({ url, method, path, body, token, signal }: Call): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/_matrix/client/v3${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  const answer = (await response.json()) as Record<string, unknown>;
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${JSON.stringify(answer)}`);
  return answer;
}

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server answered
  body: any;
}

/** A person with a client: the client-server API over HTTP, as a test reads it best. */
export class TestUser {
  /** Another one after its server was restarted. */
  url: string;
  userId = '';
  accessToken = '';
  deviceId = '';
  /** The `next_batch` of the last `sync`. */
  since: string | undefined;
  #transactions = 0;

  constructor(url: string) {
    this.url = url;
  }

  /** Any call; `path` as it stands behind `/_matrix/client/v3`, or whole when it starts with `/_matrix` or `/.well-known`. */
  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    const whole = /^\/(_matrix|\.well-known|_synapse)\//.test(path) ? path : `/_matrix/client/v3${path}`;
    const response = await fetch(this.url + whole, {
      method,
      headers: this.accessToken ? { authorization: `Bearer ${this.accessToken}` } : {},
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** A call that must answer 200; its body. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server answered
  async ok(method: string, path: string, body?: unknown): Promise<any> {
    const answer = await this.call(method, path, body);
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async register(localpart: string): Promise<void> {
    const auth = { type: 'm.login.dummy' };
    this.#take(await this.ok('POST', '/register', { username: localpart, password: 'correct horse', auth }));
  }

  /** The same user on another device. */
  async newDevice(): Promise<TestUser> {
    const other = new TestUser(this.url);
    const identifier = { type: 'm.id.user', user: this.userId };
    other.#take(await other.ok('POST', '/login', { type: 'm.login.password', identifier, password: 'correct horse' }));
    return other;
  }

  #take(answer: { user_id: string; access_token: string; device_id: string }): void {
    this.userId = answer.user_id;
    this.accessToken = answer.access_token;
    this.deviceId = answer.device_id;
  }

  /** Syncs on from the last one; `query` adds parameters. The answer's body. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server answered
  async sync(query: Record<string, string> = {}): Promise<any> {
    const parameters = new URLSearchParams({ timeout: '0', ...(this.since ? { since: this.since } : {}), ...query });
    const body = await this.ok('GET', `/sync?${parameters}`);
    this.since = body.next_batch;
    return body;
  }

  async createRoom(body: Record<string, unknown> = {}): Promise<string> {
    return (await this.ok('POST', '/createRoom', body)).room_id;
  }

  async join(roomId: string, via?: string): Promise<void> {
    const query = via === undefined ? '' : `?via=${encodeURIComponent(via)}`;
    await this.ok('POST', `/join/${encodeURIComponent(roomId)}${query}`, {});
  }

  async leave(roomId: string): Promise<void> {
    await this.ok('POST', `/rooms/${encodeURIComponent(roomId)}/leave`, {});
  }

  async invite(roomId: string, userId: string): Promise<void> {
    await this.ok('POST', `/rooms/${encodeURIComponent(roomId)}/invite`, { user_id: userId });
  }

  /** Sends a text message; its event id. */
  async say(roomId: string, text: string): Promise<string> {
    return this.send(roomId, 'm.room.message', { msgtype: 'm.text', body: text });
  }

  async send(roomId: string, type: string, content: unknown): Promise<string> {
    const path = `/rooms/${encodeURIComponent(roomId)}/send/${encodeURIComponent(type)}/t${++this.#transactions}`;
    return (await this.ok('PUT', path, content)).event_id;
  }

  async setState(roomId: string, type: string, content: unknown, stateKey = ''): Promise<string> {
    const path = `/rooms/${encodeURIComponent(roomId)}/state/${encodeURIComponent(type)}/${encodeURIComponent(stateKey)}`;
    return (await this.ok('PUT', path, content)).event_id;
  }

  async setAccountData(type: string, content: unknown): Promise<void> {
    await this.ok('PUT', `/user/${encodeURIComponent(this.userId)}/account_data/${encodeURIComponent(type)}`, content);
  }

  async setPresence(presence: string, statusMsg?: string): Promise<void> {
    const body = { presence, ...(statusMsg === undefined ? {} : { status_msg: statusMsg }) };
    await this.ok('PUT', `/presence/${encodeURIComponent(this.userId)}/status`, body);
  }

  async getPresence(userId: string): Promise<Answer> {
    return this.call('GET', `/presence/${encodeURIComponent(userId)}/status`);
  }
}

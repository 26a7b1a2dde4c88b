import { ClientEvent, createClient, type MatrixClient, type MatrixEvent, SyncState, type User } from 'matrix-js-sdk';
import { type Logger, logger } from 'matrix-js-sdk/lib/logger.js';
import { settle, type TestServer } from '../support/server.ts';

const nothing = (): void => undefined;
// The client tells the console of every request it makes.
const silent: Logger = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  getChild: () => silent,
};
Object.assign(logger, silent, { log: nothing });

const password = 'correct horse';

/** How far time goes on between two looks. */
const stepMs = 50;

/** What a client keeps between two runs. */
export interface StoredSession {
  readonly userId: string;
  readonly accessToken: string;
  readonly deviceId: string;
}

/** A person whose client is matrix-js-sdk, as an application uses it: it syncs by itself, and what it shows is its own store. */
export class SdkUser {
  readonly client: MatrixClient;
  readonly session: StoredSession;
  readonly #server: TestServer;
  #stopped = false;

  private constructor(server: TestServer, session: StoredSession) {
    this.#server = server;
    this.session = session;
    this.client = createClient({ baseUrl: server.url, logger: silent, ...session });
  }

  get userId(): string {
    return this.session.userId;
  }

  static async register(server: TestServer, localpart: string): Promise<void> {
    const client = createClient({ baseUrl: server.url, logger: silent });
    await client.registerRequest({
      username: localpart,
      password,
      auth: { type: 'm.login.dummy' },
      inhibit_login: true,
    });
  }

  static async logIn(server: TestServer, localpart: string): Promise<SdkUser> {
    const client = createClient({ baseUrl: server.url, logger: silent });
    const { user_id, access_token, device_id } = await client.loginRequest({
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: localpart },
      password,
    });
    return new SdkUser(server, { userId: user_id, accessToken: access_token, deviceId: device_id });
  }

  /** The client of a reloaded application: nothing is left to it but the session. */
  static resume(server: TestServer, session: StoredSession): SdkUser {
    return new SdkUser(server, session);
  }

  /** Starts to sync; resolves when the first answer is in the store. */
  async start(): Promise<void> {
    const prepared = new Promise<void>((resolve, reject) => {
      this.client.on(ClientEvent.Sync, (state, _previous, detail) => {
        if (state === SyncState.Prepared) resolve();
        if (state === SyncState.Error) reject(detail?.error ?? new Error('the first sync failed'));
      });
    });
    await this.client.startClient({ initialSyncLimit: 20 });
    await prepared;
  }

  stop(): void {
    this.#stopped = true;
    this.client.stopClient();
  }

  /** Resolves once `look` gives something. Time goes on meanwhile, as it does between two things that people do. */
  async sees<T>(look: () => T | undefined | false | null): Promise<T> {
    while (!this.#stopped) {
      const seen = look();
      if (seen !== undefined && seen !== false && seen !== null) return seen;
      await settle(this.#server);
      await this.#server.clock.advance(stepMs);
    }
    throw new Error('the client was stopped while it waited');
  }

  /** The membership of this user in the room as the client's store has it. */
  async seesMembership(roomId: string, membership: string): Promise<void> {
    await this.sees(() => this.client.getRoom(roomId)?.getMyMembership() === membership);
  }

  async seesMember(roomId: string, userId: string, membership: string): Promise<void> {
    await this.sees(() => this.client.getRoom(roomId)?.getMember(userId)?.membership === membership);
  }

  seesMessage(roomId: string, body: string): Promise<MatrixEvent> {
    return this.sees(() =>
      this.client
        .getRoom(roomId)
        ?.getLiveTimeline()
        .getEvents()
        .find((event) => event.getContent().body === body && event.getId()?.startsWith('$')),
    );
  }

  seesPresence(userId: string, presence: string): Promise<User> {
    return this.sees(() => {
      const user = this.client.getUser(userId);
      return user?.presence === presence ? user : undefined;
    });
  }

  /** The bodies of the messages in the order in which the client shows them. */
  bodies(roomId: string): string[] {
    const events = this.client.getRoom(roomId)?.getLiveTimeline().getEvents() ?? [];
    return events.filter((event) => event.getType() === 'm.room.message').map((event) => event.getContent().body);
  }
}

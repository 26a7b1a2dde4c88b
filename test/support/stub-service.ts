import { type TakenTransaction, TestService } from './app-service.ts';
import type { TestServer } from './server.ts';
import { TestUser } from './user.ts';

/** An application service that takes transactions: keeps what came, and answers as the test wants. */
export class StubService {
  readonly id: string;
  readonly file: string;
  readonly transactions: TakenTransaction[] = [];
  status = 200;
  /** Called before each answer. */
  beforeAnswer: () => Promise<void> | void = () => {};
  readonly #service: TestService;

  private constructor(service: TestService) {
    this.id = service.id;
    this.file = service.file;
    this.#service = service;
    service.onTransaction = async (transaction) => {
      this.transactions.push(transaction);
      await this.beforeAnswer();
      return this.status;
    };
  }

  /** Its users are those whose names begin with its id. `changes`: what else the registration says. */
  static async start(id: string, changes: Record<string, unknown> = {}): Promise<StubService> {
    const namespaces = { users: [{ exclusive: false, regex: `@${id}_.*` }] };
    return new StubService(await TestService.start(id, { namespaces, receive_ephemeral: true, ...changes }));
  }

  /** What came since the last call. */
  take(): TakenTransaction[] {
    return this.transactions.splice(0);
  }

  /** One of its users, who is nobody else's where the registration says so. */
  async register(server: Pick<TestServer, 'url'>, localpart: string): Promise<TestUser> {
    const body = { type: 'm.login.application_service', username: localpart, device_id: 'PUPPET' };
    const made = await this.#service.clientOf(server).ok('POST', '/register', body);
    const user = new TestUser(server.url);
    user.accessToken = made.access_token;
    user.userId = made.user_id;
    user.deviceId = made.device_id;
    return user;
  }

  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever was sent
  takeAll(list: 'events' | 'ephemeral' | 'to_device'): any[] {
    return this.take().flatMap(({ body }) => body[list] ?? []);
  }

  stop(): Promise<void> {
    return this.#service.stop();
  }
}

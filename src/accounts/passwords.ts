import { hash, verify } from '@node-rs/argon2';
import { limitExceeded, weakPassword } from '../matrix/errors.ts';

/** Cost of argon2id. The defaults are OWASP's: 19 MiB, two passes, one lane. */
export interface PasswordCost {
  readonly memoryKib: number;
  readonly passes: number;
}

export const defaultPasswordCost: PasswordCost = { memoryKib: 19_456, passes: 2 };

/** Hashes and verifies off the event loop. Past `waitingMax` at once, callers get M_LIMIT_EXCEEDED. */
export interface Passwords {
  /** The hash with its parameters and salt. Throws M_WEAK_PASSWORD for an empty or absurdly long password. */
  hash(password: string): Promise<string>;
  /** False too where there is no hash; that takes as long, so that time does not tell who exists. */
  verify(passwordHash: string | null | undefined, password: string): Promise<boolean>;
}

/** Each holds its memory while it runs; more wait in the thread pool. */
const waitingMax = 64;
const passwordBytesMax = 1_024;

export function createPasswords(cost: PasswordCost = defaultPasswordCost): Passwords {
  const options = { memoryCost: cost.memoryKib, timeCost: cost.passes, parallelism: 1 };
  let running = 0;
  let nobody: Promise<string> | undefined;

  async function bounded<T>(task: () => Promise<T>): Promise<T> {
    if (running >= waitingMax) throw limitExceeded(1_000);
    running += 1;
    try {
      return await task();
    } finally {
      running -= 1;
    }
  }

  return {
    async hash(password) {
      if (password === '') throw weakPassword('The password is empty');
      if (Buffer.byteLength(password) > passwordBytesMax) throw weakPassword('The password is too long');
      return bounded(() => hash(password, options));
    },
    async verify(passwordHash, password) {
      if (Buffer.byteLength(password) > passwordBytesMax) return false;
      return bounded(async () => {
        nobody ??= hash('nobody', options);
        const matches = await verify(passwordHash ?? (await nobody), password);
        return matches && typeof passwordHash === 'string';
      });
    },
  };
}

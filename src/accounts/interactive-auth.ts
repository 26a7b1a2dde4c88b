import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { forbidden, MatrixError } from '../matrix/errors.ts';
import type { UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { parseIdentifier } from './identifier.ts';

export type Stage = 'm.login.dummy' | 'm.login.password';

/**
 * What a request has yet to prove. The body has `flows`, `params` and `session`; an `errcode` only where a stage was tried
 * and failed (client-server API, "User-Interactive Authentication API").
 */
export class AuthenticationRequired extends MatrixError {
  override name = 'AuthenticationRequired';
  readonly #failure: string | undefined;

  constructor(stage: Stage, session: string, failure?: string) {
    super(401, failure === undefined ? 'M_UNAUTHORIZED' : 'M_FORBIDDEN', failure ?? 'Authentication is required', {
      flows: [{ stages: [stage] }],
      params: {},
      session,
    });
    this.#failure = failure;
  }

  override toBody(): Record<string, unknown> {
    return this.#failure === undefined ? { ...this.fields } : super.toBody();
  }
}

export interface AuthenticationAttempt {
  /** What is to be allowed, such as `delete device X of @alice:a.test`. A session is good for one purpose only. */
  readonly purpose: string;
  readonly stage: Stage;
  /** The user who must prove who they are; null where nobody is known yet. */
  readonly userId: UserId | null;
  /** The `auth` of the request's body. */
  readonly auth: JsonObject | undefined;
}

export interface InteractiveAuth {
  /** Resolves when the request may go on. Throws AuthenticationRequired, or 403 when another user's password was given. */
  authorize(attempt: AuthenticationAttempt): Promise<void>;
}

/** Open sessions; past that the oldest is forgotten, and its client is asked to start again. */
const sessionsMax = 10_000;
const sessionLifetimeMs = 15 * 60_000;

interface Session {
  readonly purpose: string;
  readonly endsAtMs: number;
}

export function createInteractiveAuth(deps: {
  clock: Clock;
  random: Random;
  resolveUser: (user: string) => UserId | undefined;
  isPassword: (userId: UserId, password: string) => Promise<boolean>;
}): InteractiveAuth {
  const sessions = new LRUCache<string, Session>({ max: sessionsMax });

  function openSession(purpose: string): string {
    const id = deps.random.token(24);
    sessions.set(id, { purpose, endsAtMs: deps.clock.monotonic() + sessionLifetimeMs });
    return id;
  }

  function isOpen(id: unknown, purpose: string): id is string {
    if (typeof id !== 'string') return false;
    const session = sessions.get(id);
    return session !== undefined && session.purpose === purpose && session.endsAtMs > deps.clock.monotonic();
  }

  async function passes(attempt: AuthenticationAttempt, auth: JsonObject): Promise<boolean> {
    if (auth.type !== attempt.stage) return false;
    if (attempt.stage === 'm.login.dummy') return true;
    if (attempt.userId === null || typeof auth.password !== 'string') return false;
    const identifier = parseIdentifier(auth);
    if (identifier !== undefined && deps.resolveUser(identifier) !== attempt.userId) {
      throw forbidden('Another user cannot authenticate this request');
    }
    return deps.isPassword(attempt.userId, auth.password);
  }

  return {
    async authorize(attempt) {
      const { auth, purpose, stage } = attempt;
      if (auth === undefined) throw new AuthenticationRequired(stage, openSession(purpose));
      // "session … if one was provided": a stage that is complete in itself may come without.
      if (auth.session !== undefined && !isOpen(auth.session, purpose)) {
        throw new AuthenticationRequired(stage, openSession(purpose), 'The session is not known, or no longer');
      }
      if (await passes(attempt, auth)) {
        if (typeof auth.session === 'string') sessions.delete(auth.session);
        return;
      }
      const session = typeof auth.session === 'string' ? auth.session : openSession(purpose);
      // A session alone asks how far it got.
      if (auth.type === undefined) throw new AuthenticationRequired(stage, session);
      const failure = auth.type === 'm.login.password' ? 'The password is not right' : 'This does not authenticate';
      throw new AuthenticationRequired(stage, session, failure);
    },
  };
}

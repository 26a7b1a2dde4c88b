import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import { type CrossSigningKey, isCrossSigningKey } from '../../../e2ee/keys/key-shapes.ts';
import type { Keys } from '../../../e2ee/keys.ts';
import { isUserId, type UserId } from '../../../matrix/ids.ts';
import type { JsonObject } from '../../../matrix/pdu.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';
import { jsonObject, optional, userId } from '../../shapes.ts';

export interface SigningKeyRoutesDeps {
  readonly keys: Pick<Keys, 'crossSigning' | 'signatures'>;
  readonly accounts: Pick<Accounts, 'interactiveAuth'>;
}

const key = z.custom<CrossSigningKey>(isCrossSigningKey, 'is not a CrossSigningKey object');
/** Objects that are signed in one request; more are refused. */
const signedMax = 2_000;

/** The body is the map itself, and a field that nobody knows is no reason to refuse it. */
function ofUsers(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  return Object.fromEntries(Object.entries(body).filter(([name]) => isUserId(name)));
}

/** User → device id or public key → the signed object. */
const signedObjects = z
  .preprocess(ofUsers, z.record(userId, z.record(z.string().max(255), jsonObject)))
  .transform(
    (users): ReadonlyMap<UserId, ReadonlyMap<string, JsonObject>> =>
      new Map(
        // The shape of the record has checked its keys.
        Object.entries(users).map(([user, objects]) => [user as UserId, new Map(Object.entries(objects ?? {}))]),
      ),
  )
  .refine((users) => [...users.values()].reduce((sum, { size }) => sum + size, 0) <= signedMax, 'is too much at once');

/** Client-server API, "Cross-signing". */
export function signingKeyRoutes({ keys, accounts }: SigningKeyRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'POST',
      // The last is where matrix-js-sdk's own method sends it, the specification's path notwithstanding.
      path: clientPath('/keys/device_signing/upload', 'v3', 'r0', 'unstable'),
      body: z.object({
        master_key: optional(key),
        self_signing_key: optional(key),
        user_signing_key: optional(key),
        auth: optional(jsonObject),
      }),
      handle: async ({ requester: { userId, service }, body }) => {
        const upload = {
          master: body.master_key,
          self_signing: body.self_signing_key,
          user_signing: body.user_signing_key,
        };
        // "MUST NOT require User-Interactive Authentication when used by an application service" ("Cross-signing").
        const isTrusted = service !== undefined;
        if (!isTrusted && (await keys.crossSigning.needsAuthentication(userId, upload)))
          await accounts.interactiveAuth.authorize({
            purpose: `change the signing keys of ${userId}`,
            stage: 'm.login.password',
            userId,
            auth: body.auth,
          });
        await keys.crossSigning.upload(userId, upload);
        return {};
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/keys/signatures/upload'),
      body: signedObjects,
      handle: async ({ requester, body }) => ({ failures: await keys.signatures.upload(requester.userId, body) }),
    }),
  ];
}

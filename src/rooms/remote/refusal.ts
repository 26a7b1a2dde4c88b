import { FederationError } from '../../federation-out/requests-contract.ts';
import { badGateway, forbidden, MatrixError, notFound } from '../../matrix/errors.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { BadRoomError } from './import/import-room.ts';

/** What the client is told of another server's answer. Bugs pass through. */
export function asRefusal(error: unknown, server: ServerName): MatrixError {
  if (error instanceof MatrixError) return error;
  if (error instanceof BadRoomError) return badGateway(`${server} gave a room that cannot be: ${error.message}`);
  if (!(error instanceof FederationError)) throw error;
  const { errcode, error: message } = error.body ?? {};
  const text = typeof message === 'string' ? message : `${server} refused`;
  if (error.outcome !== 'refused') return badGateway(`${server} could not be asked`);
  if (error.status === 403) return forbidden(text);
  if (error.status === 404) return notFound(text);
  if (error.status === 400 && typeof errcode === 'string') return new MatrixError(400, errcode, text);
  return badGateway(text);
}

/** Of what several servers said the most telling: that the room refuses, before that it is not there, before that nobody answered. */
export function mostTellingOf(failures: readonly MatrixError[]): MatrixError {
  const said = (status: number) => failures.find((failure) => failure.status === status);
  return said(403) ?? said(400) ?? said(404) ?? failures[0] ?? notFound('No server is known that is in this room');
}

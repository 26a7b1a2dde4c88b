import type { Log } from '../../base/log.ts';
import { FederationError } from '../../federation-out/requests-contract.ts';
import { badGateway, MatrixError } from '../../matrix/errors.ts';
import type { RequestContext } from '../request-state.ts';
import { RequestGoneError } from './read-body.ts';

/**
 * The one funnel: a MatrixError answers with its body; another server's failure that nobody treated is a 502; anything else
 * is a bug, logged in full and answered 500 without a word about it.
 */
export function errorFunnel({ log }: { log: Log }): (context: RequestContext, error: unknown) => void {
  return (context, error) => {
    if (error instanceof RequestGoneError || isAborted(context, error)) {
      // Nobody reads the answer; 499 is for the log line.
      answer(context, new MatrixError(499, 'M_UNKNOWN', 'The request was aborted'));
      return;
    }
    answer(context, toMatrixError(log, context, error));
  };
}

function isAborted(context: RequestContext, error: unknown): boolean {
  return context.state.ending.aborted && error instanceof Error && error.name === 'AbortError';
}

function toMatrixError(log: Log, context: RequestContext, error: unknown): MatrixError {
  if (error instanceof MatrixError) return error;
  const request = context.state.requestId;
  if (error instanceof FederationError) {
    log.info({ request, err: error }, 'another server failed');
    return badGateway('Another server did not give what was needed');
  }
  log.error({ request, err: error, method: context.method, path: context.path }, 'a request failed');
  return new MatrixError(500, 'M_UNKNOWN', 'Internal server error');
}

function answer(context: RequestContext, error: MatrixError): void {
  const retryAfterMs = error.fields.retry_after_ms;
  if (typeof retryAfterMs === 'number') context.set('Retry-After', String(Math.ceil(retryAfterMs / 1000)));
  // The rest of a body that was too slow is not waited for.
  if (error.status === 408) context.set('Connection', 'close');
  context.status = error.status;
  context.set('Content-Type', 'application/json');
  context.body = JSON.stringify(error.toBody());
}

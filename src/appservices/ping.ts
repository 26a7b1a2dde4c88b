import type { Clock } from '../base/clock.ts';
import { OutgoingHttpError } from '../base/network/outgoing-http.ts';
import { forbidden, MatrixError } from '../matrix/errors.ts';
import type { Registration } from './registration.ts';
import { type CallService, isReachable } from './service-calls.ts';

/**
 * Asks the service whether it hears us, since it wants to know (application service API, "Pinging"); how long that took, in milliseconds. Throws
 * M_FORBIDDEN unless the id is the service's own, 400 M_URL_NOT_SET, 502 M_CONNECTION_FAILED and M_BAD_STATUS, 504 M_CONNECTION_TIMEOUT.
 */
export type Ping = (
  service: Registration | undefined,
  request: { readonly serviceId: string; readonly transactionId: string | undefined },
) => Promise<number>;

const timeoutMs = 30_000;
/** Of a bad answer's body, that the service is shown again. */
const shownLengthMax = 1_000;

export function createPing({ call, clock }: { readonly call: CallService; readonly clock: Clock }): Ping {
  return async (service, { serviceId, transactionId }) => {
    if (service?.id !== serviceId) throw forbidden('The access token is not the one of this application service');
    if (!isReachable(service)) throw new MatrixError(400, 'M_URL_NOT_SET', 'The application service has no URL');
    const body = transactionId === undefined ? {} : { transaction_id: transactionId };
    const startedMs = clock.monotonic();
    try {
      const answer = await call(service, { method: 'POST', path: '/ping', body, timeoutMs });
      if (answer.status === 200) return Math.round(clock.monotonic() - startedMs);
      throw new MatrixError(502, 'M_BAD_STATUS', `The application service answers ${answer.status}`, {
        status: answer.status,
        body: answer.body.toString('utf8').slice(0, shownLengthMax),
      });
    } catch (error) {
      if (!(error instanceof OutgoingHttpError)) throw error;
      if (error.reason === 'timeout') throw new MatrixError(504, 'M_CONNECTION_TIMEOUT', error.message);
      throw new MatrixError(502, 'M_CONNECTION_FAILED', error.message);
    }
  };
}

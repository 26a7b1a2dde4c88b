import { z } from 'zod';
import type { TransactionReceiver } from '../../federation-in/transaction.ts';
import { type Route, serverRoute } from '../route.ts';
import { jsonObject, shortText } from '../shapes.ts';

/** Server-server API, "Transactions". */
export function transactionRoutes(deps: { readonly transactions: TransactionReceiver }): Route[] {
  return [
    serverRoute({
      method: 'PUT',
      path: '/_matrix/federation/v1/send/:transactionId',
      params: z.object({ transactionId: shortText }),
      body: jsonObject,
      bodyBytesMax: transactionBytesMax,
      longLists: ['pdus', 'edus'],
      handle: ({ params, body, origin, text }) =>
        deps.transactions.receive({ origin, transactionId: params.transactionId, body, text }),
    }),
  ];
}

/** 50 PDUs and 100 EDUs of the largest size, with room for what stands around them. */
const transactionBytesMax = 11 * 1024 * 1024;

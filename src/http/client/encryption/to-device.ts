import { z } from 'zod';
import type { ToDevice } from '../../../e2ee/to-device.ts';
import { clientPath, type Route, userRoute, withAnyDevice } from '../../route.ts';
import { jsonObject, shortText } from '../../shapes.ts';

/** Client-server API, "Send-to-Device messaging". */
export function toDeviceRoutes({ toDevice }: { toDevice: Pick<ToDevice, 'send'> }): Route[] {
  return [
    userRoute({
      method: 'PUT',
      path: clientPath('/sendToDevice/:eventType/:transactionId'),
      params: z.object({ eventType: shortText, transactionId: shortText }),
      body: z.object({ messages: jsonObject }),
      counts: 'toDevice',
      handle: async ({ requester, params, body }) => {
        const { eventType: type, transactionId } = params;
        const { userId: sender, deviceId } = withAnyDevice(requester);
        await toDevice.send({ sender, deviceId, type, transactionId, messages: body.messages });
        return {};
      },
    }),
  ];
}

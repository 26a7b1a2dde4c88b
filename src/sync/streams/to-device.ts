import type { ToDeviceInbox } from '../../e2ee/to-device-inbox.ts';
import { mayBeNews, type SyncStream } from '../stream.ts';

export interface ToDeviceDeps {
  readonly toDevice: Pick<ToDeviceInbox, 'list'>;
}

/** "The server should limit the number of to-device messages in one answer." The rest comes with the next, at once. */
const messagesMax = 100;

/**
 * Messages to this device (client-server API, "Send-to-Device messaging"), in the order in which they came. They are told again until the
 * client comes back with the token of the answer that told them.
 */
export function createToDeviceStream({ toDevice }: ToDeviceDeps): SyncStream {
  return {
    // Also where the last answer did not hold all that waited.
    mayTell: (question) =>
      mayBeNews(question, (news) => news.toDeviceUsers.has(question.viewer.userId)) ||
      (question.since !== null && question.since.toDevice < question.since.position),
    async read(scope, answer) {
      const after = scope.since?.toDevice ?? 0;
      const { upTo } = scope;
      const waiting = await toDevice.list(scope.viewer, { after, upTo, limit: messagesMax + 1 });
      const told = waiting.slice(0, messagesMax);
      answer.toDevice = told.map(({ text }) => text);
      if (waiting.length > told.length) answer.toDeviceUpTo = told.at(-1)?.position ?? null;
    },
  };
}
